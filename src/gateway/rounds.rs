//! A server without a handshake that asks a client with one (2026-07-28, "Multi Round-Trip Requests").
//!
//! The server's answer says what it wants to know. The client is asked as a server with a handshake would ask it, and the
//! request is made again with what it says; what comes of that is the answer, or the next round.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::bridge::spoken_by;
use super::conversation::{ServerRequest, Session};
use super::error::GatewayError;
use super::exchange::Exchange;
use super::initialize::upstream_error;
use super::need::Need;
use super::policy::{Asked, Judge, in_turn};
use super::questions::question_of;
use super::session_inbox::{ask_by_message, take_back};
use crate::protocol::edit::{Edit, apply};
use crate::protocol::member::{Members, member, members, string_member};
use crate::protocol::names::method;
use crate::protocol::translate::{question_for_older, result_type};
use crate::protocol::{Era, Message};
use crate::upstream::pending::Patience;
use crate::upstream::{RequestRefused, SCAN};

/// Rounds of one request, at most.
const ROUNDS_MAX: usize = 16;
/// Questions of one round, at most.
const QUESTIONS_MAX: usize = 64;
/// How long a client may take to say what it is asked: often a person has to decide.
const CLIENT_PATIENCE: Duration = Duration::from_secs(600);

/// A request that may have to be made again.
#[derive(Debug, Clone)]
pub(super) struct Repeatable {
    /// As the server got it, but for its id.
    pub(super) request: Message,
    pub(super) patience: Patience,
}

/// What the client has said so far to what one answer asks.
#[derive(Debug)]
pub(super) struct Round {
    said: Mutex<Said>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct Said {
    open: usize,
    responses: Vec<(String, Bytes)>,
    /// The first error: without an answer the request cannot go on.
    failed: Option<String>,
    /// Whether nobody is to be asked any more.
    is_over: bool,
}

impl Round {
    fn of(questions: usize) -> Arc<Self> {
        let said = Said {
            open: questions,
            ..Said::default()
        };
        Arc::new(Self {
            said: Mutex::new(said),
            settled: Notify::new(),
        })
    }

    /// Takes what the client says to one question.
    pub(super) fn take(&self, key: &str, method: &str, answer: &Message) {
        let result = match (answer.result(), method) {
            (Some(result), _) => Ok(result),
            // There is a word for this one.
            (None, method::ELICIT) => Ok(Bytes::from_static(br#"{"action":"cancel"}"#)),
            (None, _) => {
                let error = answer.error().unwrap_or_default();
                Err(string_member(&error, "message").unwrap_or_default())
            }
        };
        self.settle(key, result);
    }

    /// Notes that there is no answer to one question.
    pub(super) fn refuse(&self, key: &str, why: String) {
        self.settle(key, Err(why));
    }

    fn settle(&self, key: &str, result: Result<Bytes, String>) {
        let mut said = self.said.lock().expect("no holder panics");
        said.open = said.open.saturating_sub(1);
        match result {
            Ok(response) => said.responses.push((key.to_owned(), response)),
            Err(why) => drop(said.failed.get_or_insert(why)),
        }
        if said.open == 0 || said.failed.is_some() {
            self.settled.notify_one();
        }
    }

    /// Notes that nobody wants to know the answers any more.
    pub(super) fn give_up(&self) {
        let mut said = self.said.lock().expect("no holder panics");
        said.failed
            .get_or_insert_with(|| "the request is over".to_owned());
        self.settled.notify_one();
    }

    /// Takes back what has been asked and not answered; what waits to be judged will not be asked.
    fn end(self: &Arc<Self>, session: &Session) {
        self.said.lock().expect("no holder panics").is_over = true;
        self.withdraw(session);
    }

    fn withdraw(self: &Arc<Self>, session: &Session) {
        let open = session.attachment().withdraw_round(self);
        take_back(session, open, "the request is over");
    }

    fn is_over(&self) -> bool {
        self.said.lock().expect("no holder panics").is_over
    }

    fn is_settled(&self) -> bool {
        let said = self.said.lock().expect("no holder panics");
        said.open == 0 || said.failed.is_some()
    }

    async fn settled(&self) {
        while !self.is_settled() {
            self.settled.notified().await;
        }
    }

    fn responses(&self) -> Result<String, GatewayError> {
        let said = self.said.lock().expect("no holder panics");
        if let Some(why) = &said.failed {
            let text = format!("the client did not say what the server asked: {why}");
            return Err(GatewayError::ClientDidNotSay(text));
        }
        let members = said.responses.iter().map(|(key, response)| {
            format!(
                "{}:{}",
                Value::from(key.as_str()),
                String::from_utf8_lossy(response)
            )
        });
        Ok(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }
}

/// Returns whether an answer asks for something instead of being the last word.
pub(super) fn asks(answer: &Message) -> bool {
    // Most answers are not read for this.
    memchr::memmem::find(answer.bytes(), b"input_required").is_some()
        && result_type(answer).as_deref() == Some("input_required")
}

/// Brings a request whose answer asks for something to its end.
pub(super) async fn go_on(exchange: Arc<Exchange>, answer: Message, repeatable: Repeatable, rounds: usize) {
    if let Err(error) = next_round(&exchange, &answer, &repeatable, rounds).await {
        exchange.fail(&error);
    }
}

async fn next_round(
    exchange: &Arc<Exchange>,
    answer: &Message,
    repeatable: &Repeatable,
    rounds: usize,
) -> Result<(), GatewayError> {
    if rounds > ROUNDS_MAX {
        let text = format!("the server asked on and on: {ROUNDS_MAX} rounds are the limit");
        return Err(GatewayError::ClientDidNotSay(text));
    }
    let result = answer.result().unwrap_or_default();
    let requests = member(&result, "inputRequests").and_then(|all| members(all.get().as_bytes()));
    let requests = requests.unwrap_or_default();
    if requests.len() > QUESTIONS_MAX {
        let text = format!("the server asked {} things at once", requests.len());
        return Err(GatewayError::ClientDidNotSay(text));
    }
    let round = Round::of(requests.len());
    if !exchange.begin_round(&round) {
        return Ok(());
    }
    let session = exchange.session();
    let asked = ask_all(session, &round, requests);
    let deadline = Instant::now() + CLIENT_PATIENCE;
    let settled = match &asked {
        Ok(()) => timeout_at(deadline, round.settled()).await,
        Err(_) => Ok(()),
    };
    // What was not answered needs no answer any more.
    round.end(session);
    asked?;
    if settled.is_err() {
        let text = "the client did not say in time what the server asked".to_owned();
        return Err(GatewayError::ClientDidNotSay(text));
    }
    let state = member(&result, "requestState");
    let request = again(&repeatable.request, &round.responses()?, state)?;
    send(exchange, &request, repeatable.patience).await
}

/// Asks the client all that an answer asks.
fn ask_all(session: &Arc<Session>, round: &Arc<Round>, requests: Members<'_>) -> Result<(), GatewayError> {
    for (key, request) in requests {
        let question = question_of(request)?;
        let judge = session.attachment().judge_of_server();
        let judged = judge.clone().map(|judge| (judge, Asked::of(&question)));
        let (asked, key) = (round.clone(), key.into_owned());
        let taken = in_turn(session, judge, question, move |session, passed| {
            // Another question may have failed while this one was judged.
            if asked.is_over() {
                return;
            }
            let asking = passed
                .map_err(|error| error.to_string())
                .and_then(|question| ask(session, &question, (&asked, &key), judged));
            if let Err(why) = asking {
                asked.refuse(&key, why);
            }
            // Or just now.
            if asked.is_over() {
                asked.withdraw(session);
            }
        });
        if taken.is_err() {
            let text = "too many messages of the server wait to be judged".to_owned();
            return Err(GatewayError::ClientDidNotSay(text));
        }
    }
    Ok(())
}

/// Asks the client one thing, in the words of its version.
fn ask(
    session: &Session,
    question: &Message,
    (round, key): (&Arc<Round>, &str),
    judged: Option<(Judge, Asked)>,
) -> Result<(), String> {
    let method = question.method();
    let need = Need::of(&method, &question.params().unwrap_or_default());
    if !need.is_some_and(|need| need.is_met_by(session)) {
        return Err(format!("it has not declared what {method} needs"));
    }
    let question = question_for_older(question, spoken_by(session)).map_err(|error| error.to_string())?;
    let request = ServerRequest::of_round(round.clone(), key.to_owned(), method.into_owned(), judged);
    ask_by_message(session, request, &question).map_err(str::to_owned)
}

/// Returns the request with what the client says.
fn again(request: &Message, responses: &str, state: Option<&RawValue>) -> Result<Message, GatewayError> {
    let set = |pointer: &str, value: &str| Edit {
        pointer: pointer.to_owned(),
        value: Some(value.to_owned()),
    };
    let mut edits = vec![set("/params/inputResponses", responses)];
    edits.extend(state.map(|state| set("/params/requestState", state.get())));
    let text = apply(request.bytes(), &edits).map_err(|error| GatewayError::Untranslatable(error.into()))?;
    Message::parse(text, SCAN).map_err(GatewayError::InvalidMessage)
}

/// Makes the request again, in whichever process serves the session now: none of them keeps anything in between.
async fn send(exchange: &Arc<Exchange>, request: &Message, patience: Patience) -> Result<(), GatewayError> {
    let session = exchange.session();
    let patience = Patience {
        since: Instant::now(),
        ..patience
    };
    let lease = session.attachment().lease().ok_or(GatewayError::SessionEnded)?;
    while !exchange.is_over() {
        let connection = lease.upstream().connection(patience.deadline()).await;
        let connection = connection.map_err(|error| upstream_error(session, error))?;
        if connection.era() == Era::Handshake {
            let text = "the server speaks another era since it has asked".to_owned();
            return Err(GatewayError::ClientDidNotSay(text));
        }
        match connection.request(request, exchange.clone(), patience) {
            Ok(id) => {
                exchange.sent(&connection, id);
                break;
            }
            Err(RequestRefused::Overloaded(error)) => return Err(upstream_error(session, error)),
            Err(RequestRefused::Closed(_)) => tokio::task::yield_now().await,
        }
    }
    Ok(())
}
