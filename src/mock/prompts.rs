//! `prompts/get`.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::additions::Additions;
use super::content::IMAGE_PNG;
use super::message::{invalid_params, parse};
use super::question::{Ask, Question};
use super::script::Outcome;
use crate::protocol::ProtocolVersion;
use crate::protocol::reply::ErrorObject;

/// The prompt that asks before it answers.
const ASKING: &str = "test_input_required_result_prompt";

/// Returns the oldest version that has what a prompt needs.
pub(crate) fn since(name: &str) -> ProtocolVersion {
    if name == ASKING {
        ProtocolVersion::V2025_06_18
    } else {
        ProtocolVersion::V2024_11_05
    }
}

#[derive(Deserialize)]
struct Params {
    name: String,
    #[serde(default)]
    arguments: HashMap<String, String>,
}

/// Returns the result of getting a prompt.
///
/// # Errors
/// If there is no such prompt, or an argument is missing.
pub(crate) fn get(params: Option<&[u8]>, additions: &Additions) -> Result<Outcome, ErrorObject> {
    let params: Params = parse(params)?;
    let contents = match params.name.as_str() {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (one, two) = (params.argument("arg1")?, params.argument("arg2")?);
            vec![text(&format!(
                "Prompt with arguments: arg1='{one}', arg2='{two}'"
            ))]
        }
        "test_prompt_with_embedded_resource" => vec![
            embedded(params.argument("resourceUri")?),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![
            json!({ "type": "image", "data": IMAGE_PNG, "mimeType": "image/png" }),
            text("Please analyze the image above."),
        ],
        ASKING => return Ok(Outcome::Ask(ask_for_context())),
        name if additions.has_prompt(name) => vec![text("Added by the change tool.")],
        name => return Err(invalid_params(format!("Unknown prompt: {name}"))),
    };
    Ok(messages(contents))
}

/// Asks the user what the prompt shall be about.
fn ask_for_context() -> Ask {
    let question = Question::field(
        "user_context",
        "What context should the prompt use?",
        "context",
        "string",
    );
    Ask::one(question, |answers| {
        let given = &answers["user_context"];
        let context = given["content"]["context"].as_str().unwrap_or("none");
        messages(vec![text(&format!("Prompt with context: {context}"))])
    })
}

fn messages(contents: Vec<Value>) -> Outcome {
    let messages: Vec<Value> = contents
        .into_iter()
        .map(|content| json!({ "role": "user", "content": content }))
        .collect();
    Outcome::result(json!({ "messages": messages }).to_string())
}

impl Params {
    fn argument(&self, name: &str) -> Result<&str, ErrorObject> {
        let missing = || invalid_params(format!("argument {name} is required"));
        self.arguments.get(name).map(String::as_str).ok_or_else(missing)
    }
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn embedded(uri: &str) -> Value {
    let text = "Embedded resource content for testing.";
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": "text/plain", "text": text } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get_text(params: &str) -> Result<String, ErrorObject> {
        match get(Some(params.as_bytes()), &Additions::default())? {
            Outcome::Result(text) => Ok(text.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_are_filled_in() {
        let params = r#"{"name":"test_prompt_with_arguments","arguments":{"arg1":"hello","arg2":"world"}}"#;
        let result: Value = serde_json::from_str(&get_text(params).unwrap()).unwrap();
        let text = &result["messages"][0]["content"]["text"];
        assert_eq!(text, "Prompt with arguments: arg1='hello', arg2='world'");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error =
            get_text(r#"{"name":"test_prompt_with_arguments","arguments":{"arg1":"x"}}"#).unwrap_err();
        assert_eq!(error.message, "argument arg2 is required");
        let error = get_text(r#"{"name":"nope"}"#).unwrap_err();
        assert_eq!(error.message, "Unknown prompt: nope");
    }
}
