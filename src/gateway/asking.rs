//! Putting what a server with a handshake asks before a client without one, and taking what that says.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::conversation::Session;
use super::error::GatewayError;
use super::exchange::Exchange;
use super::gateway::Gateway;
use crate::protocol::Message;
use crate::protocol::member::{member, members};
use crate::protocol::names::method;
use crate::upstream::SCAN;
use crate::upstream::pending::Patience;

/// Requests whose answer may ask for something (2026-07-28, "Multi Round-Trip Requests").
pub(super) const MAY_ASK: [&str; 3] = [method::TOOLS_CALL, method::PROMPTS_GET, method::READ];

/// Returns what a client has to declare to be asked this; `None` where no answer may ask it.
pub(super) fn capability_for(method: &str) -> Option<&'static str> {
    match method {
        method::SAMPLING => Some("sampling"),
        method::ELICIT => Some("elicitation"),
        method::ROOTS_LIST => Some("roots"),
        _ => None,
    }
}

/// Something that the server has asked.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// The number by which the session knows it.
    pub(super) number: i64,
    method: String,
    params: Option<Box<RawValue>>,
}

impl Inquiry {
    pub(super) fn new(number: i64, request: &Message) -> Self {
        let params = request.params();
        Self {
            number,
            method: request.method().into_owned(),
            params: params.and_then(|params| serde_json::from_slice(&params).ok()),
        }
    }

    /// Returns the key by which the client answers it.
    fn key(&self) -> String {
        format!("{}-{}", self.method.replace('/', "-"), self.number)
    }
}

/// A call that waits for its client.
#[derive(Debug)]
pub(super) struct Suspension {
    /// The request that has ended for the client, but not for the server.
    waiter: Arc<Exchange>,
    asked: Vec<Inquiry>,
}

impl Gateway {
    /// Asks the client by ending its request; it calls again with what it says.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub(super) fn suspend(&self, session: &Arc<Session>, inquiry: Inquiry) -> Result<(), &'static str> {
        let conversation = session.attachment();
        let mut suspension = conversation.suspension();
        if let Some(suspension) = &mut *suspension {
            suspension.asked.push(inquiry);
            return Ok(());
        }
        let waiter = conversation
            .only_exchange()
            .ok_or("no request of the client is under way")?;
        let capability = capability_for(&inquiry.method).ok_or("no client can be asked this in an answer")?;
        if !session.facts().is_some_and(|facts| facts.declares(capability)) {
            drop(suspension);
            waiter.give_up(&GatewayError::MissingCapability(capability));
            return Err("the client has not declared what this needs");
        }
        self.suspend_waiter(session, &mut suspension, waiter, vec![inquiry])
    }

    fn suspend_waiter(
        &self,
        session: &Arc<Session>,
        suspension: &mut Option<Suspension>,
        waiter: Arc<Exchange>,
        asked: Vec<Inquiry>,
    ) -> Result<(), &'static str> {
        let question = waiter
            .question()
            .filter(|question| MAY_ASK.contains(&question.method.as_str()))
            .ok_or("the answer to this request cannot ask the client")?;
        let state = self.suspended.admit(session, question)?;
        let patience = self.suspended.timeout();
        waiter.postpone(Patience {
            since: tokio::time::Instant::now(),
            timeout: patience,
            timeout_max: patience,
        });
        let result = input_required(&asked, &state);
        *suspension = Some(Suspension {
            waiter: waiter.clone(),
            asked,
        });
        waiter.suspend(&result);
        Ok(())
    }

    /// Goes on with a suspended call: the server gets what the client says, and the request the server's answer.
    pub(super) fn resume(
        self: &Arc<Self>,
        session: &Arc<Session>,
        suspension: Suspension,
        exchange: &Arc<Exchange>,
        message: &Message,
    ) -> Result<(), GatewayError> {
        let Suspension { waiter, asked } = suspension;
        waiter.bequeath_to(exchange);
        exchange.postpone(self.patience(&session.attachment().server().spec()));
        let params = message.params().unwrap_or_default();
        let responses = member(&params, "inputResponses").and_then(|all| members(all.get().as_bytes()));
        let responses = responses.unwrap_or_default();
        let mut open = Vec::new();
        let mut answers = Vec::new();
        for inquiry in asked {
            match responses.get(inquiry.key().as_str()) {
                Some(response) => answers.push(answer_to(&inquiry, response)?),
                None => open.push(inquiry),
            }
        }
        // Before the server hears anything: it may ask on.
        if !open.is_empty() && !exchange.is_over() {
            let mut suspension = session.attachment().suspension();
            self.suspend_waiter(session, &mut suspension, exchange.clone(), open)
                .map_err(|why| GatewayError::InvalidParams(why.to_owned()))?;
        }
        for answer in answers {
            if let Some(request) = session.attachment().take_server_request(&answer) {
                self.handle_answer(session, request, answer);
            }
        }
        Ok(())
    }
}

fn input_required(asked: &[Inquiry], state: &str) -> Vec<u8> {
    let request = |inquiry: &Inquiry| {
        let mut request = Map::new();
        request.insert("method".to_owned(), Value::from(inquiry.method.as_str()));
        if let Some(params) = &inquiry.params {
            let params = serde_json::from_str(params.get()).expect("it was JSON when it came");
            request.insert("params".to_owned(), params);
        }
        (inquiry.key(), Value::Object(request))
    };
    let requests: Map<String, Value> = asked.iter().map(request).collect();
    let result = json!({ "resultType": "input_required", "inputRequests": requests, "requestState": state });
    result.to_string().into_bytes()
}

/// Returns what the client says as the answer to what the server asked.
fn answer_to(inquiry: &Inquiry, response: &RawValue) -> Result<Message, GatewayError> {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#,
        inquiry.number,
        response.get()
    );
    Message::parse(text.into(), SCAN).map_err(GatewayError::InvalidMessage)
}
