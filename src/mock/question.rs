//! What a request needs to know of its client before it is answered: sampling, elicitation, roots, anything.
//!
//! The handshake era sends these as requests of the server's own; the modern one answers `input_required` with them
//! and runs the request anew when it comes again with the answers.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::content;
use super::message::raw;
use super::script::Outcome;
use crate::protocol::names::method;

/// Answers of the client, by the keys of the questions.
pub(crate) type Answers = Map<String, Value>;

/// The key of a question that is alone.
pub(crate) const ALONE: &str = "answer";

/// One thing to ask the client.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) key: &'static str,
    pub(crate) method: Cow<'static, str>,
    pub(crate) params: Option<Box<RawValue>>,
}

/// Things to ask the client at once, and what follows from the answers.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) questions: Vec<Question>,
    /// Whether the modern era wants its own `requestState` back with the answers.
    pub(crate) is_sealed: bool,
    pub(crate) then: fn(&Answers) -> Outcome,
}

impl Ask {
    /// Asks one thing; the answer becomes the text of the result.
    pub(crate) fn one(question: Question, then: fn(&Answers) -> Outcome) -> Self {
        Self {
            questions: vec![question],
            is_sealed: false,
            then,
        }
    }

    pub(crate) fn sealed(questions: Vec<Question>, then: fn(&Answers) -> Outcome) -> Self {
        Self {
            questions,
            is_sealed: true,
            then,
        }
    }
}

impl Question {
    /// Asks the client's model to continue `prompt`.
    pub(crate) fn sampling(key: &'static str, prompt: &str) -> Self {
        Self::sampling_up_to(key, prompt, 100)
    }

    pub(crate) fn sampling_up_to(key: &'static str, prompt: &str, tokens_max: u32) -> Self {
        let params = json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
            "maxTokens": tokens_max,
        });
        Self {
            key,
            method: method::SAMPLING.into(),
            params: Some(raw(&params)),
        }
    }

    /// Asks the user to fill in a form.
    pub(crate) fn elicitation(key: &'static str, message: &str, schema: &Value) -> Self {
        Self {
            key,
            method: method::ELICIT.into(),
            params: Some(raw(&json!({ "message": message, "requestedSchema": schema }))),
        }
    }

    /// Asks the user for one value that must be given.
    pub(crate) fn field(key: &'static str, message: &str, name: &str, kind: &str) -> Self {
        let schema =
            json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] });
        Self::elicitation(key, message, &schema)
    }

    /// Asks for the client's roots.
    pub(crate) fn roots(key: &'static str) -> Self {
        Self {
            key,
            method: method::ROOTS_LIST.into(),
            params: Some(raw(&json!({}))),
        }
    }
}

/// Returns a result with one text.
pub(crate) fn told(text: &str) -> Outcome {
    Outcome::result(content::text(text))
}

/// Returns "action=..., content=..." of what the user did with a form.
pub(crate) fn elicited(result: &Value) -> String {
    let action = result["action"].as_str().unwrap_or("none");
    let content = result.get("content").cloned().unwrap_or_else(|| json!({}));
    format!("action={action}, content={content}")
}

/// Returns what the model said. Its content is one block or, with 2025-11-25, several.
pub(crate) fn sampled(result: &Value) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampling_answer_may_be_one_block_or_several() {
        assert_eq!(
            sampled(&json!({ "content": { "type": "text", "text": "a" } })),
            "a"
        );
        let several =
            json!({ "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] });
        assert_eq!(sampled(&several), "a b");
        assert_eq!(sampled(&json!({})), "No response");
    }
}
