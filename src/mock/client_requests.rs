//! Requests of ours to the client: sampling, elicitation, roots, and whatever a test wants to ask.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::content;
use super::locked::Locked;
use super::message::raw;
use super::script::OwnedRequest;
use crate::protocol::RequestId;

/// Something to ask the client before a call is answered.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) method: String,
    pub(crate) params: Option<Box<RawValue>>,
    /// Makes the text of the call's result from what the client answered.
    pub(crate) then: fn(&Value) -> String,
}

/// What the client answered: a result or an error.
#[derive(Debug)]
pub(crate) enum Reply {
    /// JSON.
    Result(Bytes),
    /// JSON.
    Error(Bytes),
}

/// A question on its way, and the call that waits for it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) run: u64,
    pub(crate) request: OwnedRequest,
    method: String,
    then: fn(&Value) -> String,
}

impl Asked {
    pub(crate) fn new(run: u64, request: OwnedRequest, question: &Question) -> Self {
        Self {
            run,
            request,
            method: question.method.clone(),
            then: question.then,
        }
    }

    /// Returns the result of the waiting call.
    pub(crate) fn result(&self, reply: &Reply) -> String {
        match reply {
            Reply::Result(raw) => content::text(&(self.then)(&parsed(raw))),
            Reply::Error(raw) => {
                let error = String::from_utf8_lossy(raw);
                content::failure(&format!("{} failed: {error}", self.method))
            }
        }
    }
}

/// The questions on their way, by the id they were sent with.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Locked<(i64, HashMap<i64, Asked>)>,
}

impl Questions {
    /// Remembers a question and returns its id: 1, 2, 3, ..., which a client's own ids surely meet.
    pub(crate) fn remember(&self, asked: Asked) -> i64 {
        let mut state = self.asked.lock();
        state.0 += 1;
        let id = state.0;
        state.1.insert(id, asked);
        id
    }

    /// Takes out the question that was sent with this id.
    pub(crate) fn take(&self, id: &RequestId) -> Option<Asked> {
        match id {
            RequestId::Number(id) => self.asked.lock().1.remove(id),
            RequestId::String(_) => None,
        }
    }

    /// Takes out the question of a call that was cancelled and returns its id.
    pub(crate) fn withdraw(&self, run: u64) -> Option<i64> {
        let mut state = self.asked.lock();
        let id = state
            .1
            .iter()
            .find(|(_, asked)| asked.run == run)
            .map(|(id, _)| *id)?;
        state.1.remove(&id);
        Some(id)
    }
}

/// Asks the client's model to continue `prompt`.
pub(crate) fn sampling(prompt: &str) -> Question {
    let params = json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
        "maxTokens": 100,
    });
    Question {
        method: "sampling/createMessage".to_owned(),
        params: Some(raw(&params)),
        then: |result| format!("LLM response: {}", sampled_text(result)),
    }
}

/// Asks the user to fill in a form.
pub(crate) fn elicitation(message: &str, schema: &Value, then: fn(&Value) -> String) -> Question {
    Question {
        method: "elicitation/create".to_owned(),
        params: Some(raw(&json!({ "message": message, "requestedSchema": schema }))),
        then,
    }
}

/// Returns "action=..., content=..." of what the user did with a form.
pub(crate) fn elicited(result: &Value) -> String {
    let action = result["action"].as_str().unwrap_or("none");
    let content = result.get("content").cloned().unwrap_or_else(|| json!({}));
    format!("action={action}, content={content}")
}

/// The content of a sampling result is one block or, with 2025-11-25, several.
fn sampled_text(result: &Value) -> String {
    let blocks = match &result["content"] {
        Value::Array(blocks) => blocks.as_slice(),
        block => std::slice::from_ref(block),
    };
    let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
    if texts.is_empty() {
        "No response".to_owned()
    } else {
        texts.join(" ")
    }
}

fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(run: u64) -> Asked {
        let request = OwnedRequest {
            id: 1.into(),
            method: "tools/call".into(),
        };
        Asked::new(run, request, &sampling("hello"))
    }

    #[test]
    fn each_question_is_answered_once() {
        let questions = Questions::default();
        let first = questions.remember(asked(10));
        let second = questions.remember(asked(11));
        assert_ne!(first, second);
        assert_eq!(questions.take(&first.into()).unwrap().run, 10);
        assert!(questions.take(&first.into()).is_none());
        assert!(questions.take(&RequestId::String("2".into())).is_none());
        assert_eq!(questions.withdraw(11), Some(second));
        assert_eq!(questions.withdraw(11), None);
    }

    #[test]
    fn a_sampling_answer_may_be_one_block_or_several() {
        assert_eq!(
            sampled_text(&json!({ "content": { "type": "text", "text": "a" } })),
            "a"
        );
        let several =
            json!({ "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] });
        assert_eq!(sampled_text(&several), "a b");
        assert_eq!(sampled_text(&json!({})), "No response");
    }

    #[test]
    fn an_error_of_the_client_makes_the_call_fail_with_its_text() {
        let error = Bytes::from_static(br#"{"code":-1,"message":"user said no"}"#);
        let result: Value = serde_json::from_str(&asked(1).result(&Reply::Error(error))).unwrap();
        assert_eq!(result["isError"], true);
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("user said no")
        );
    }
}
