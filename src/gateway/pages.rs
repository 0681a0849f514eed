//! A server with a handshake that answers no call until its user has visited a page (2025-11-25, "URL Elicitation Required
//! Error"), and a client without one, which hears of such pages in an answer and calls again.
//!
//! The server has answered, so nothing waits there; but it may remember in its process what the user has done, so the
//! session stays until the client comes again.

use std::sync::Arc;

use serde_json::{Value, json};

use super::asking::{Inquiry, Suspension, input_required, question_of};
use super::conversation::Session;
use super::error::GatewayError;
use super::exchange::{Exchange, Reach};
use super::gateway::Gateway;
use super::need::Need;
use crate::protocol::Message;
use crate::protocol::member::{member, string_member};
use crate::protocol::names::{code, method};
use crate::protocol::reply::write_result;
use crate::upstream::SCAN;

/// Pages that one answer names, at most; the others it names again.
const PAGES_MAX: usize = 64;

/// Returns the pages that an answer wants to be visited: the parameters of elicitations. `None` for other answers.
pub(super) fn pages(answer: &Message) -> Option<Vec<Value>> {
    let error = answer.error()?;
    if member(&error, "code")?.get() != code::URL_ELICITATION_REQUIRED.to_string() {
        return None;
    }
    let data: Value = serde_json::from_str(member(&error, "data")?.get()).ok()?;
    let pages = data["elicitations"].as_array()?.iter();
    let pages = pages.filter(|page| page["url"].is_string()).take(PAGES_MAX);
    let pages: Vec<_> = pages.cloned().collect();
    (!pages.is_empty()).then_some(pages)
}

impl Gateway {
    /// Returns the answer that asks a client to have pages visited and to call again.
    ///
    /// # Errors
    /// It cannot, or too many calls wait.
    pub(super) fn ask_to_visit(
        &self,
        exchange: &Exchange,
        pages: Vec<Value>,
    ) -> Result<Message, GatewayError> {
        let session = exchange.session();
        if !Need::Page.is_met_by(session) {
            return Err(GatewayError::MissingCapability(Need::Page));
        }
        let asked = (1..).zip(pages).map(|(number, mut page)| {
            page["mode"] = json!("url");
            Inquiry::of(number, method::ELICIT, &page)
        });
        let asked: Vec<_> = asked.collect();
        let mut place = session.attachment().suspension();
        let refused = |why: &str| GatewayError::ClientDidNotSay(why.to_owned());
        // Whoever leaves ends its request first, and then looks here, under this lock, whether it has to wait.
        if exchange.reach() != Reach::Live {
            return Err(refused("the client has gone"));
        }
        let state = self
            .suspended
            .admit(session, question_of(exchange).map_err(refused)?);
        let state = state.map_err(refused)?;
        let result = input_required(&asked, &state);
        *place = Some(Suspension::to_be_repeated(asked));
        drop(place);
        let mut out = Vec::new();
        write_result(&0.into(), &result, &mut out);
        Message::parse(out.into(), SCAN).map_err(GatewayError::InvalidMessage)
    }

    /// Forgets a call that was to be made again: its client does not hear of the pages.
    pub(super) fn call_off_visits(&self, session: &Arc<Session>) {
        let mut place = session.attachment().suspension();
        if place
            .take_if(|suspension| suspension.is_to_be_repeated())
            .is_some()
        {
            self.suspended.forget(session);
        }
    }
}

/// Checks that the user agrees to visit a page.
///
/// # Errors
/// It does not, in the words for the client.
pub(super) fn check_agreed(page: &Inquiry, response: &[u8]) -> Result<(), GatewayError> {
    if string_member(response, "action").as_deref() == Some("accept") {
        return Ok(());
    }
    let why = page.param("message").unwrap_or_default();
    let text =
        format!("the server does not answer before a page has been visited, which was not agreed to: {why}");
    Err(GatewayError::ClientDidNotSay(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_stand_in_one_error_alone() {
        let of = |error: Value| {
            let text = json!({ "jsonrpc": "2.0", "id": 1, "error": error }).to_string();
            pages(&Message::parse(text.into(), SCAN).expect("valid")).map(|pages| pages.len())
        };
        let page = json!({ "mode": "url", "elicitationId": "1", "url": "https://a", "message": "m" });
        let error = |code: i32, elicitations: Value| json!({ "code": code, "message": "m", "data": { "elicitations": elicitations } });
        assert_eq!(of(error(-32042, json!([page, {}, page]))), Some(2));
        assert_eq!(
            of(error(-32042, json!(vec![page.clone(); PAGES_MAX + 1]))),
            Some(PAGES_MAX)
        );
        assert_eq!(of(error(-32042, json!([]))), None);
        assert_eq!(of(error(-32602, json!([page]))), None);
        assert_eq!(of(json!({ "code": -32042, "message": "m" })), None);
    }
}
