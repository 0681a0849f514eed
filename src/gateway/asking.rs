//! Putting what a server with a handshake asks before a client without one, and taking what that says.

use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::conversation::Session;
use super::error::GatewayError;
use super::exchange::{Exchange, Question, Reach};
use super::gateway::Gateway;
use super::need::Need;
use super::pages::check_agreed;
use super::policy::Asked;
use crate::protocol::member::{Members, member, members, string_member};
use crate::protocol::names::method;
use crate::protocol::{Message, translate};
use crate::upstream::{SCAN, Waiter};

/// Requests whose answer may ask for something (2026-07-28, "Multi Round-Trip Requests").
pub(super) const MAY_ASK: [&str; 3] = [method::TOOLS_CALL, method::PROMPTS_GET, method::READ];

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

    pub(super) fn of(number: i64, method: &str, params: &Value) -> Self {
        Self {
            number,
            method: method.to_owned(),
            params: to_raw_value(params).ok(),
        }
    }

    /// Returns a parameter of it that is a string.
    pub(super) fn param(&self, key: &str) -> Option<String> {
        string_member(self.params_text().as_bytes(), key)
    }

    fn params_text(&self) -> &str {
        self.params.as_ref().map_or("{}", |params| params.get())
    }

    /// Returns the key by which the client answers it.
    fn key(&self) -> String {
        format!("{}-{}", self.method.replace('/', "-"), self.number)
    }
}

/// A call that waits for its client.
#[derive(Debug)]
pub(super) struct Suspension {
    what: Wait,
    asked: Vec<Inquiry>,
}

#[derive(Debug)]
enum Wait {
    /// A request that has ended for the client, but not for the server, which waits for answers.
    AtWork(Arc<Exchange>),
    /// One that the server has refused, and that is to be made again.
    Refused,
}

impl Suspension {
    /// Returns that of a request that the server has refused until its client does these things.
    pub(super) fn to_be_repeated(asked: Vec<Inquiry>) -> Self {
        Self {
            what: Wait::Refused,
            asked,
        }
    }

    pub(super) fn is_to_be_repeated(&self) -> bool {
        matches!(self.what, Wait::Refused)
    }

    /// Returns the request at which the server still works.
    pub(super) fn at_work(&self) -> Option<&Arc<Exchange>> {
        match &self.what {
            Wait::AtWork(exchange) => Some(exchange),
            Wait::Refused => None,
        }
    }
}

impl Gateway {
    /// Asks the client by ending its request; it calls again with what it says.
    ///
    /// # Errors
    /// Nobody can be asked.
    pub(super) fn suspend(&self, session: &Arc<Session>, inquiry: Inquiry) -> Result<(), &'static str> {
        let conversation = session.attachment();
        let mut place = conversation.suspension();
        let need = Need::of(&inquiry.method, inquiry.params_text().as_bytes());
        let need = need.ok_or("no client can be asked this in an answer")?;
        let is_met = need.is_met_by(session);
        let unmet = "the client has not declared what this needs";
        if let Some(suspension) = &mut *place {
            return match suspension.what {
                _ if !is_met => Err(unmet),
                Wait::Refused => Err("no request of the client is under way"),
                // It is asked when the client comes again.
                Wait::AtWork(_) => {
                    // Those that the server has taken back: however many it asks, so many are kept as may wait.
                    suspension.asked.retain(|asked| conversation.awaits(asked.number));
                    suspension.asked.push(inquiry);
                    Ok(())
                }
            };
        }
        let waiter = conversation
            .only_exchange()
            .ok_or("no request of the client is under way")?;
        if !is_met {
            drop(place);
            waiter.give_up(&GatewayError::MissingCapability(need));
            return Err(unmet);
        }
        self.suspend_waiter(session, &mut place, waiter, vec![inquiry])
    }

    /// Has a request end for its client, and the call wait for that to come again.
    fn suspend_waiter(
        &self,
        session: &Arc<Session>,
        place: &mut Option<Suspension>,
        waiter: Arc<Exchange>,
        asked: Vec<Inquiry>,
    ) -> Result<(), &'static str> {
        // Whoever leaves ends its request first, and then looks here, under this lock, whether it has to wait.
        if waiter.reach() != Reach::Live {
            return Err("the client has gone");
        }
        let state = self.suspended.admit(session, question_of(&waiter)?)?;
        if !waiter.suspend(&input_required(&asked, &state)) {
            // It has been answered, or taken back, in the meantime.
            self.suspended.forget(session);
            return Err("the request is over");
        }
        *place = Some(Suspension {
            what: Wait::AtWork(waiter),
            asked,
        });
        Ok(())
    }

    /// Goes on with the call that a session's client has been asked something for, if there is one: the server gets what
    /// the client says, and the request the server's answer. Returns the request if it has to go to the server.
    ///
    /// # Errors
    /// The client has not said what the call needs, or cannot be asked again.
    pub(super) fn resume(
        self: &Arc<Self>,
        session: &Arc<Session>,
        exchange: &Arc<Exchange>,
        message: Message,
    ) -> Result<Option<Message>, GatewayError> {
        // Held until it is known what the session waits for next: the server may ask on meanwhile.
        let mut place = session.attachment().suspension();
        let Some(Suspension { what, asked }) = place.take() else {
            return Ok(Some(message));
        };
        let params = message.params().unwrap_or_default();
        let responses = member(&params, "inputResponses").and_then(|all| members(all.get().as_bytes()));
        let responses = responses.unwrap_or_default();
        let (answered, mut open): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .partition(|inquiry| responses.contains_key(inquiry.key().as_str()));
        let Wait::AtWork(waiter) = what else {
            let is_asked = self.ask_again(session, &mut place, exchange, (&answered, open), &responses)?;
            // The server has never asked, and knows nothing of a state.
            let again = translate::request_for_handshake(&message)?;
            return Ok((!is_asked).then_some(again));
        };
        let pending = waiter.bequeath_to(exchange);
        exchange.postpone(self.patience(&session.attachment().server().spec()));
        // What the server has taken back nobody needs to answer.
        open.retain(|inquiry| session.attachment().awaits(inquiry.number));
        let numbers: Vec<i64> = open.iter().map(|inquiry| inquiry.number).collect();
        let asked = match pending {
            // What has ended asks nothing more.
            Some(_) => Err("the request is over"),
            None if open.is_empty() => Ok(()),
            None => self.suspend_waiter(session, &mut place, exchange.clone(), open),
        };
        drop(place);
        if let Err(why) = asked {
            refuse_all(session, &numbers, why);
        }
        pending.into_iter().for_each(|outcome| exchange.complete(outcome));
        for inquiry in answered {
            self.pass_on_response(session, exchange, &inquiry, responses[inquiry.key().as_str()]);
        }
        Ok(None)
    }

    /// Gives the server what the client says to one of its questions, if the policies agree that hold for the request in
    /// which the client says it.
    fn pass_on_response(
        self: &Arc<Self>,
        session: &Arc<Session>,
        exchange: &Exchange,
        inquiry: &Inquiry,
        response: &RawValue,
    ) {
        let Some(mut request) = session.attachment().remove_server_request(inquiry.number) else {
            return;
        };
        let asked = request.judged.take().map(|(_, asked)| asked);
        let asked = asked.unwrap_or_else(|| Asked {
            method: inquiry.method.clone(),
            target: None,
            was_judged: false,
        });
        request.judged = exchange.judge().map(|judge| (judge.clone(), asked));
        self.handle_answer(session, request, answer_to(inquiry, response));
    }

    /// Asks for what a client has not said yet; with nothing left the request is to be made again.
    fn ask_again(
        &self,
        session: &Arc<Session>,
        place: &mut Option<Suspension>,
        exchange: &Exchange,
        (answered, open): (&[Inquiry], Vec<Inquiry>),
        responses: &Members<'_>,
    ) -> Result<bool, GatewayError> {
        for page in answered {
            check_agreed(page, responses[page.key().as_str()].get().as_bytes())?;
        }
        if open.is_empty() {
            return Ok(false);
        }
        let refused = |why: &str| GatewayError::ClientDidNotSay(why.to_owned());
        let state = self
            .suspended
            .admit(session, question_of(exchange).map_err(refused)?);
        let result = input_required(&open, &state.map_err(refused)?);
        *place = Some(Suspension::to_be_repeated(open));
        exchange.answer(&result);
        Ok(true)
    }
}

/// Tells the server that nobody will say what it has asked.
fn refuse_all(session: &Session, numbers: &[i64], why: &str) {
    let error = GatewayError::ClientDidNotSay(why.to_owned());
    for number in numbers {
        if let Some(request) = session.attachment().remove_server_request(*number) {
            request.refuse(&error);
        }
    }
}

/// Returns what a client has asked, if the answer to that may ask it for something.
pub(super) fn question_of(exchange: &Exchange) -> Result<&Question, &'static str> {
    exchange
        .question()
        .filter(|question| MAY_ASK.contains(&question.method.as_str()))
        .ok_or("the answer to this request cannot ask the client")
}

pub(super) fn input_required(asked: &[Inquiry], state: &str) -> Vec<u8> {
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
fn answer_to(inquiry: &Inquiry, response: &RawValue) -> Message {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#,
        inquiry.number,
        response.get()
    );
    Message::parse(text.into(), SCAN).expect("any value that has been read is a result")
}
