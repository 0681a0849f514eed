//! What an answer or a notification of a server without a handshake asks the client for (2026-07-28, `inputRequests`): each
//! is judged as the request that a server with a handshake would make.

use memchr::memmem;
use serde_json::Value;
use serde_json::value::RawValue;

use super::conversation::Session;
use super::error::GatewayError;
use super::policy::Judge;
use crate::plugin::call::Direction;
use crate::protocol::Message;
use crate::protocol::edit::{Edit, apply, escaped};
use crate::protocol::member::{member, members};
use crate::upstream::SCAN;

const QUESTIONS: &str = "inputRequests";

/// Returns whether a message asks the client for something, or might. Most are looked through for this, and not read.
pub(super) fn holds_questions(message: &Message) -> bool {
    let has = |text: &[u8]| memmem::find(message.bytes(), text).is_some();
    // A key may be written with escapes.
    has(QUESTIONS.as_bytes()) || has(b"\\u")
}

/// Has the policies judge what a message asks the client for. Returns the message as they leave it.
///
/// # Errors
/// One of them is not to be asked, or could not be judged.
pub(super) async fn judge_questions(
    judge: &Judge,
    session: &Session,
    message: Message,
) -> Result<Message, GatewayError> {
    if !holds_questions(&message) {
        return Ok(message);
    }
    let (place, body) = match message.result() {
        Some(result) => ("result", result),
        None => ("params", message.params().unwrap_or_default()),
    };
    let requests = member(&body, QUESTIONS).and_then(|all| members(all.get().as_bytes()));
    let mut edits = Vec::new();
    for (key, request) in requests.unwrap_or_default() {
        let question = question_of(request)?;
        if !judge.asks(session, Direction::ServerToClient, &question) {
            continue;
        }
        let before = question.bytes().clone();
        let (question, _) = judge
            .question(session, Direction::ServerToClient, question)
            .await?;
        if *question.bytes() != before {
            let params = question.params().unwrap_or_default();
            let method = Value::from(&*question.method());
            let text = format!(
                r#"{{"method":{method},"params":{}}}"#,
                String::from_utf8_lossy(&params)
            );
            edits.push(Edit {
                pointer: format!("/{place}/{QUESTIONS}/{}", escaped(&key)),
                value: Some(text),
            });
        }
    }
    if edits.is_empty() {
        return Ok(message);
    }
    let text = apply(message.bytes(), &edits).map_err(|error| GatewayError::Untranslatable(error.into()))?;
    Message::parse(text, SCAN).map_err(GatewayError::InvalidMessage)
}

/// Returns an input request as the request of a server.
///
/// # Errors
/// It says nothing that a client could be asked.
pub(super) fn question_of(request: &RawValue) -> Result<Message, GatewayError> {
    let unclear =
        || GatewayError::ClientDidNotSay("the server asked for something without a method".to_owned());
    let fields = members(request.get().as_bytes()).ok_or_else(unclear)?;
    let method = fields.get("method").ok_or_else(unclear)?;
    let params = fields.get("params").map_or("{}", |params| params.get());
    let text = format!(r#"{{"jsonrpc":"2.0","id":0,"method":{method},"params":{params}}}"#);
    Message::parse(text.into(), SCAN).map_err(GatewayError::InvalidMessage)
}
