//! Requests of ours to the client (handshake era): which are on their way, and what waits for their answers.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;

use super::content;
use super::locked::Locked;
use super::question::{Answers, Ask, Question};
use super::script::{Outcome, OwnedRequest};
use crate::protocol::RequestId;

/// What the client answered: a result or an error.
#[derive(Debug)]
pub(crate) enum Reply {
    /// JSON.
    Result(Bytes),
    /// JSON.
    Error(Bytes),
}

/// What an answer of the client brings.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nobody asked.
    Unmatched,
    /// Other answers are still missing.
    Waiting,
    /// The run can go on.
    Complete(Box<Answered>),
}

/// A run whose questions are answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) run: u64,
    pub(crate) request: OwnedRequest,
    /// Those of this round and of earlier ones.
    pub(crate) answers: Answers,
    pub(crate) outcome: Outcome,
}

/// The questions on their way, by the id they were sent with.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    state: Locked<State>,
}

#[derive(Debug, Default)]
struct State {
    last_id: i64,
    /// Which run asked.
    asked_by: HashMap<i64, u64>,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: OwnedRequest,
    missing: HashMap<i64, Question>,
    answers: Answers,
    then: fn(&Answers) -> Outcome,
}

impl Questions {
    /// Remembers what is asked, and what was answered in earlier rounds, and calls `send` for each question with its
    /// id: 1, 2, 3, ..., which a client's own ids surely meet.
    pub(crate) fn remember(
        &self,
        run: u64,
        request: OwnedRequest,
        ask: Ask,
        answers: Answers,
        mut send: impl FnMut(i64, &Question),
    ) {
        let mut state = self.state.lock();
        let mut missing = HashMap::new();
        for question in ask.questions {
            state.last_id += 1;
            let id = state.last_id;
            send(id, &question);
            state.asked_by.insert(id, run);
            missing.insert(id, question);
        }
        let waiting = Waiting {
            request,
            missing,
            answers,
            then: ask.then,
        };
        state.waiting.insert(run, waiting);
    }

    /// Takes the answer to the question that was sent with this id.
    pub(crate) fn take(&self, id: &RequestId, reply: &Reply) -> Taken {
        let RequestId::Number(id) = id else {
            return Taken::Unmatched;
        };
        let mut state = self.state.lock();
        let Some(run) = state.asked_by.remove(id) else {
            return Taken::Unmatched;
        };
        let waiting = state.waiting.get_mut(&run).expect("who asks, waits");
        let question = waiting.missing.remove(id).expect("what was asked, is missing");
        let failure = waiting.note(&question, reply);
        if failure.is_none() && !waiting.missing.is_empty() {
            return Taken::Waiting;
        }
        let waiting = state.forget(run);
        drop(state);
        let outcome = failure.unwrap_or_else(|| (waiting.then)(&waiting.answers));
        Taken::Complete(Box::new(Answered {
            run,
            request: waiting.request,
            answers: waiting.answers,
            outcome,
        }))
    }

    /// Takes back what a cancelled run asked and returns the ids.
    pub(crate) fn withdraw(&self, run: u64) -> Vec<i64> {
        let mut state = self.state.lock();
        if !state.waiting.contains_key(&run) {
            return Vec::new();
        }
        let mut ids: Vec<i64> = state.forget(run).missing.into_keys().collect();
        ids.sort_unstable();
        ids
    }
}

impl State {
    fn forget(&mut self, run: u64) -> Waiting {
        let waiting = self.waiting.remove(&run).expect("the run waits");
        self.asked_by.retain(|_, asked_by| *asked_by != run);
        waiting
    }
}

impl Waiting {
    /// Keeps an answer. An error is the end of the run; returns how it ends.
    fn note(&mut self, question: &Question, reply: &Reply) -> Option<Outcome> {
        match reply {
            Reply::Result(raw) => {
                let answer = serde_json::from_slice(raw).unwrap_or(Value::Null);
                self.answers.insert(question.key.to_owned(), answer);
                None
            }
            Reply::Error(raw) => {
                let error = String::from_utf8_lossy(raw);
                let why = format!("{} failed: {error}", question.method);
                Some(Outcome::result(content::failure(&why)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::question::told;

    fn begin(questions: &Questions, run: u64, keys: &[&'static str]) -> Vec<i64> {
        let request = OwnedRequest {
            id: 1.into(),
            method: "tools/call".into(),
        };
        let asked = keys.iter().map(|key| Question::sampling(key, "hello")).collect();
        let ask = Ask::sealed(asked, |answers| told(&answers.len().to_string()));
        let mut ids = Vec::new();
        questions.remember(run, request, ask, Answers::new(), |id, _| ids.push(id));
        ids
    }

    fn take(questions: &Questions, id: i64) -> Taken {
        questions.take(&id.into(), &Reply::Result(Bytes::from_static(b"{}")))
    }

    #[test]
    fn a_run_goes_on_when_every_question_is_answered_once() {
        let questions = Questions::default();
        let ids = begin(&questions, 10, &["a", "b"]);
        let other = begin(&questions, 11, &["a"]);
        assert!(matches!(take(&questions, ids[1]), Taken::Waiting));
        assert!(matches!(take(&questions, ids[1]), Taken::Unmatched));
        let Taken::Complete(answered) = take(&questions, ids[0]) else {
            panic!("both are answered");
        };
        assert_eq!(answered.run, 10);
        assert!(matches!(answered.outcome, Outcome::Result(text) if text.contains("\"2\"")));
        let named = RequestId::String(other[0].to_string().into());
        assert!(matches!(
            questions.take(&named, &Reply::Result(Bytes::new())),
            Taken::Unmatched
        ));
        assert_eq!(questions.withdraw(11), other);
        assert_eq!(questions.withdraw(11), Vec::<i64>::new());
    }

    #[test]
    fn an_error_of_the_client_ends_the_run_with_its_text() {
        let questions = Questions::default();
        let ids = begin(&questions, 10, &["a", "b"]);
        let error = Bytes::from_static(br#"{"code":-1,"message":"user said no"}"#);
        let Taken::Complete(answered) = questions.take(&ids[0].into(), &Reply::Error(error)) else {
            panic!("an error is the end");
        };
        let Outcome::Result(text) = answered.outcome else {
            panic!("a call fails with a result");
        };
        let result: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(result["isError"], true);
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("user said no")
        );
        assert!(matches!(take(&questions, ids[1]), Taken::Unmatched));
    }
}
