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

use super::asking::capability_for;
use super::conversation::{ServerRequest, Session};
use super::error::GatewayError;
use super::exchange::Exchange;
use super::initialize::upstream_error;
use super::policy::{Asked, Judge, in_turn};
use super::session_inbox::ask_by_message;
use crate::plugin::call::Direction;
use crate::protocol::Message;
use crate::protocol::edit::{Edit, apply, escaped};
use crate::protocol::member::{member, members, string_member};
use crate::protocol::names::method;
use crate::protocol::translate::result_type;
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
    let round = ask_all(exchange.session(), &result)?;
    let deadline = Instant::now() + CLIENT_PATIENCE;
    if timeout_at(deadline, round.settled()).await.is_err() {
        let text = "the client did not say in time what the server asked".to_owned();
        return Err(GatewayError::ClientDidNotSay(text));
    }
    let request = again(
        &repeatable.request,
        &round.responses()?,
        member(&result, "requestState"),
    )?;
    send(exchange, &request, repeatable.patience).await
}

/// Asks the client all that an answer asks.
fn ask_all(session: &Arc<Session>, result: &[u8]) -> Result<Arc<Round>, GatewayError> {
    let requests = member(result, "inputRequests").and_then(|all| members(all.get().as_bytes()));
    let requests = requests.unwrap_or_default();
    if requests.len() > QUESTIONS_MAX {
        let text = format!("the server asked {} things at once", requests.len());
        return Err(GatewayError::ClientDidNotSay(text));
    }
    let round = Round::of(requests.len());
    for (key, request) in requests {
        let question = question_of(request)?;
        let method = question.method().into_owned();
        let judge = session.attachment().judge_of_server();
        let judged = judge.clone().map(|judge| (judge, Asked::of(&question)));
        let (asked, key) = (round.clone(), key.into_owned());
        let taken = in_turn(session, judge, question, move |session, passed| match passed {
            Err(error) => asked.refuse(&key, error.to_string()),
            Ok(question) if !is_declared(session, &method) => {
                asked.refuse(
                    &key,
                    format!("it has not declared what {} needs", question.method()),
                );
            }
            Ok(question) => {
                let request = ServerRequest::of_round(asked.clone(), key.clone(), method, judged);
                if let Err(why) = ask_by_message(session, request, &question) {
                    asked.refuse(&key, why.to_owned());
                }
            }
        });
        if taken.is_err() {
            let text = "too many messages of the server wait to be judged".to_owned();
            return Err(GatewayError::ClientDidNotSay(text));
        }
    }
    Ok(round)
}

/// Has the policies judge what an answer asks the client for: each as the request that a server with a handshake would
/// make. Returns the answer as they leave it.
///
/// # Errors
/// One of them is not to be asked, or could not be judged.
pub(super) async fn judge_questions(
    judge: &Judge,
    session: &Session,
    answer: Message,
) -> Result<Message, GatewayError> {
    let result = answer.result().unwrap_or_default();
    let requests = member(&result, "inputRequests").and_then(|all| members(all.get().as_bytes()));
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
                pointer: format!("/result/inputRequests/{}", escaped(&key)),
                value: Some(text),
            });
        }
    }
    if edits.is_empty() {
        return Ok(answer);
    }
    let text = apply(answer.bytes(), &edits).map_err(|error| GatewayError::Untranslatable(error.into()))?;
    Message::parse(text, SCAN).map_err(GatewayError::InvalidMessage)
}

fn is_declared(session: &Session, method: &str) -> bool {
    let declares = |capability| session.facts().is_some_and(|facts| facts.declares(capability));
    capability_for(method).is_some_and(declares)
}

/// Returns an input request as the request of a server.
fn question_of(request: &RawValue) -> Result<Message, GatewayError> {
    let unclear =
        || GatewayError::ClientDidNotSay("the server asked for something without a method".to_owned());
    let fields = members(request.get().as_bytes()).ok_or_else(unclear)?;
    let method = fields.get("method").ok_or_else(unclear)?;
    let params = fields.get("params").map_or("{}", |params| params.get());
    let text = format!(r#"{{"jsonrpc":"2.0","id":0,"method":{method},"params":{params}}}"#);
    Message::parse(text.into(), SCAN).map_err(GatewayError::InvalidMessage)
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
