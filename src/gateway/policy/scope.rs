//! Who may keep an answer for whom (2026-07-28, "Cache Scope"), where policies have judged it.

use crate::gateway::GatewayError;
use crate::protocol::Message;
use crate::protocol::document::{Ambiguous, Document};
use crate::protocol::edit::{Edit, apply};
use crate::protocol::translate::Untranslatable;
use crate::upstream::SCAN;

const SCOPE: &str = "/result/cacheScope";
const TTL: &str = "/result/ttlMs";
const PRIVATE: &str = "\"private\"";

/// Returns an answer as one that nobody may keep but for whom it is. One that says nothing of being kept stays as it is.
///
/// # Errors
/// It does not say clearly who may keep it.
pub(super) fn for_one(answer: Message) -> Result<Message, GatewayError> {
    if !is_shared(&answer).map_err(Untranslatable::from)? {
        return Ok(answer);
    }
    let edit = Edit {
        pointer: SCOPE.to_owned(),
        value: Some(PRIVATE.to_owned()),
    };
    let text = apply(answer.bytes(), &[edit]).map_err(Untranslatable::from)?;
    Message::parse(text, SCAN).map_err(GatewayError::InvalidMessage)
}

fn is_shared(answer: &Message) -> Result<bool, Ambiguous> {
    let document = Document::new(answer.bytes().clone());
    match document.at(SCOPE)? {
        Some(scope) => Ok(document.text(scope) != PRIVATE),
        None => Ok(document.at(TTL)?.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rest: &str) -> Message {
        Message::parse(format!(r#"{{"jsonrpc":"2.0","id":1,{rest}}}"#).into(), SCAN).expect("an answer")
    }

    #[test]
    fn what_is_for_one_says_so() {
        let check = |rest: &str, expect: &str| {
            let seen = for_one(message(rest)).expect("it is clear");
            assert_eq!(seen.bytes(), message(expect).bytes(), "{rest}");
        };
        let private = r#""result":{"ttlMs":5,"cacheScope":"private","x":1}"#;
        check(r#""result":{"ttlMs":5,"cacheScope":"public","x":1}"#, private);
        check(
            r#""result":{"ttlMs":5,"cache\u0053cope":"p\u0075blic"}"#,
            r#""result":{"ttlMs":5,"cache\u0053cope":"private"}"#,
        );
        check(
            r#""result":{"ttlMs":5}"#,
            r#""result":{"ttlMs":5,"cacheScope":"private"}"#,
        );
        for same in [
            private,
            r#""result":{"resultType":"input_required"}"#,
            r#""error":{"code":1,"message":"m"}"#,
        ] {
            check(same, same);
        }
        let twice = message(r#""result":{"cacheScope":"private","cacheScope":"public"}"#);
        assert!(for_one(twice).is_err());
    }
}
