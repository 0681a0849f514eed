//! Requests of ours to the client: sampling, elicitation, roots, and whatever a test wants to ask.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::content;
use super::locked::Locked;
use super::script::OwnedRequest;

/// Something to ask the client before a call is answered.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) method: String,
    /// Raw JSON.
    pub(crate) params: Option<String>,
    /// Makes the text of the call's result from what the client answered.
    pub(crate) then: fn(&Value) -> String,
}

/// What the client answered: a result or an error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply<'a> {
    Result(&'a RawValue),
    Error(&'a RawValue),
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
    pub(crate) fn result(&self, reply: Reply<'_>) -> String {
        match reply {
            Reply::Result(raw) => content::text(&(self.then)(&parsed(raw))),
            Reply::Error(raw) => content::failure(&format!("{} failed: {}", self.method, raw.get())),
        }
    }
}

/// The questions on their way, by the id they were sent with.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Locked<(u64, HashMap<u64, Asked>)>,
}

impl Questions {
    /// Remembers a question and returns its id: 1, 2, 3, ..., which a client's own ids surely meet.
    pub(crate) fn remember(&self, asked: Asked) -> u64 {
        let mut state = self.asked.lock();
        state.0 += 1;
        let id = state.0;
        state.1.insert(id, asked);
        id
    }

    /// Takes out the question that was sent with this id (raw JSON).
    pub(crate) fn take(&self, id: &str) -> Option<Asked> {
        let id = id.parse().ok()?;
        self.asked.lock().1.remove(&id)
    }

    /// Takes out the question of a call that was cancelled and returns its id.
    pub(crate) fn withdraw(&self, run: u64) -> Option<u64> {
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
        params: Some(params.to_string()),
        then: |result| format!("LLM response: {}", sampled_text(result)),
    }
}

/// Asks the user to fill in a form.
pub(crate) fn elicitation(message: &str, schema: &Value, then: fn(&Value) -> String) -> Question {
    Question {
        method: "elicitation/create".to_owned(),
        params: Some(json!({ "message": message, "requestedSchema": schema }).to_string()),
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

fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(run: u64) -> Asked {
        let request = OwnedRequest {
            id: "1".into(),
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
        assert_eq!(questions.take(&first.to_string()).unwrap().run, 10);
        assert!(questions.take(&first.to_string()).is_none());
        assert!(questions.take("\"1\"").is_none());
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
        let raw: Box<RawValue> = serde_json::from_str(r#"{"code":-1,"message":"user said no"}"#).unwrap();
        let result: Value = serde_json::from_str(&asked(1).result(Reply::Error(&raw))).unwrap();
        assert_eq!(result["isError"], true);
        assert!(
            result["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains("user said no")
        );
    }
}
