//! What becomes of a request: an answer at once, a script of steps in time, or a question to the client first.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::event::{Event, Reach};
use super::modern::{Filter, Plan};
use super::peer::Level;
use super::question::Ask;
use crate::protocol::RequestId;
use crate::protocol::reply::ErrorObject;

/// What a method decided.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Answered with this result (raw JSON).
    Result(Cow<'static, str>),
    Error(ErrorObject),
    /// Done step by step; one of the steps answers, or none does.
    Script(Vec<Step>),
    /// Answered when the client has answered.
    Ask(Ask),
    /// Not answered as long as it listens (2026-07-28).
    Listen(Filter),
    /// Answered at once with a task where the client knows tasks, and later with the result itself where it does not.
    Task(Plan),
}

impl Outcome {
    pub(crate) fn result(result: impl Into<Cow<'static, str>>) -> Self {
        Self::Result(result.into())
    }
}

impl From<ErrorObject> for Outcome {
    fn from(error: ErrorObject) -> Self {
        Self::Error(error)
    }
}

/// Something to do, and how long to wait first.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// Only the time passes.
    Nothing,
    /// Sends a notification.
    Notify(Cow<'static, str>, Option<Box<RawValue>>),
    /// Sends a log message, if the client's level lets it through.
    Log(Level, Value),
    /// Tells whoever is to hear of it.
    Tell(Event, Reach),
    /// Ends every `subscriptions/listen`.
    EndListens(Farewell),
    /// Answers the request with this result (raw JSON).
    Answer(Cow<'static, str>),
    /// Ends the process with this exit code.
    Exit(i32),
    /// Ends the process by a signal.
    Abort,
}

/// How the server ends a `subscriptions/listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// With its result.
    Result,
    /// With `notifications/cancelled`.
    Cancelled,
    /// With an error.
    Error,
}

impl Step {
    pub(crate) fn now(action: Action) -> Self {
        Self {
            after: Duration::ZERO,
            action,
        }
    }

    pub(crate) fn after_ms(after_ms: u64, action: Action) -> Self {
        Self {
            after: Duration::from_millis(after_ms),
            action,
        }
    }
}

/// A request that is being worked on, its steps still to come.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    pub(crate) request: OwnedRequest,
    /// From then on it cannot be cancelled.
    pub(crate) answered: bool,
    pub(crate) steps: std::vec::IntoIter<Step>,
}

/// What must be kept of a request until it is answered.
#[derive(Debug, Clone)]
pub(crate) struct OwnedRequest {
    pub(crate) id: RequestId,
    pub(crate) method: Box<str>,
}
