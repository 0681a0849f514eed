//! Questions to the client in the modern era: `input_required`, and the same request once more with the answers.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::seal::Seal;
use super::state::Modern;
use crate::mock::message::{invalid_params, parse};
use crate::mock::question::{Answers, Ask, Question};
use crate::mock::script::Outcome;
use crate::protocol::modern::RequestMeta;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;

/// What a request brings along because it comes again.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Answers of this round.
    responses: Answers,
    /// Answers of earlier rounds; none if the request brought no `requestState`.
    earlier: Option<Answers>,
    /// What a `requestState` is bound to.
    purpose: Vec<u8>,
}

/// Where the questions of a request have led.
#[derive(Debug)]
pub(super) enum Settled {
    /// To the result that asks them, which is complete.
    Required(String),
    /// Through them.
    Decided(Outcome),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input_responses: Option<&'a RawValue>,
    request_state: Option<String>,
}

impl Inputs {
    /// Reads the parameters of a request that may come again.
    ///
    /// # Errors
    /// An answer is not an object, or the `requestState` is not one that this process made for this very request.
    pub(super) fn parse(method: &str, params: &[u8], seal: &Seal) -> Result<Self, ErrorObject> {
        let params: Params<'_> = parse(Some(params))?;
        let purpose = purpose(method, &params);
        let earlier = params.request_state.map(|state| {
            let content = seal.open(&state, &purpose);
            content
                .and_then(|content| serde_json::from_slice(&content).ok())
                .ok_or_else(|| invalid_params("requestState is not what this server gave for this request"))
        });
        Ok(Self {
            responses: responses(params.input_responses)?,
            earlier: earlier.transpose()?,
            purpose,
        })
    }

    /// Follows an outcome through its questions until one is not answered yet, or none is left.
    ///
    /// # Errors
    /// The client does not declare what a question needs.
    pub(super) fn settle(
        &self,
        modern: &Modern,
        meta: &RequestMeta,
        mut outcome: Outcome,
    ) -> Result<Settled, ErrorObject> {
        loop {
            let Outcome::Ask(ask) = outcome else {
                return Ok(Settled::Decided(outcome));
            };
            ask.questions
                .iter()
                .try_for_each(|question| check(question, meta))?;
            let answers = self.answers(&ask);
            if ask
                .questions
                .iter()
                .any(|question| !answers.contains_key(question.key))
            {
                return Ok(Settled::Required(self.required(modern, &ask, answers)));
            }
            outcome = (ask.then)(&answers);
        }
    }

    /// Returns the answers that count: a sealed question wants its state with them.
    fn answers(&self, ask: &Ask) -> Answers {
        let mut answers = self.earlier.clone().unwrap_or_default();
        if self.earlier.is_some() || !ask.is_sealed {
            answers.extend(self.responses.clone());
        }
        answers
    }

    fn required(&self, modern: &Modern, ask: &Ask, answers: Answers) -> String {
        let missing = ask
            .questions
            .iter()
            .filter(|question| !answers.contains_key(question.key));
        let requests = requests(missing);
        let mut result = json!({
            "resultType": "input_required",
            "_meta": modern.result_meta(),
            "inputRequests": requests,
        });
        if ask.is_sealed {
            let content = Value::Object(answers).to_string();
            result["requestState"] = modern.seal.close(content.as_bytes(), &self.purpose).into();
        }
        result.to_string()
    }
}

/// Returns questions as `inputRequests`.
pub(super) fn requests<'a>(questions: impl Iterator<Item = &'a Question>) -> Map<String, Value> {
    let one = |question: &Question| {
        let params = question
            .params
            .as_ref()
            .map_or_else(|| json!({}), |params| json!(params));
        json!({ "method": question.method, "params": params })
    };
    questions
        .map(|question| (question.key.to_owned(), one(question)))
        .collect()
}

/// Reads `inputResponses`.
///
/// # Errors
/// It is not an object of objects.
pub(super) fn responses(raw: Option<&RawValue>) -> Result<Answers, ErrorObject> {
    let Some(raw) = raw else {
        return Ok(Answers::new());
    };
    let responses: Answers = serde_json::from_str(raw.get())
        .map_err(|error| invalid_params(format!("inputResponses: {error}")))?;
    match responses.iter().find(|(_, response)| !response.is_object()) {
        Some((key, _)) => Err(invalid_params(format!("inputResponses.{key} must be an object"))),
        None => Ok(responses),
    }
}

/// Checks that a question can be asked in this era, and of this client.
fn check(question: &Question, meta: &RequestMeta) -> Result<(), ErrorObject> {
    let capability = match &*question.method {
        method::SAMPLING => "sampling",
        method::ELICIT => "elicitation",
        method::ROOTS_LIST => "roots",
        other => {
            return Err(invalid_params(format!(
                "{other} is nothing that a server may ask for in this version"
            )));
        }
    };
    if meta.capabilities.get(capability).is_some_and(Value::is_object) {
        return Ok(());
    }
    Err(missing_capability(&json!({ capability: {} })))
}

/// Returns the error for a client that does not declare what the request needs.
pub(super) fn missing_capability(required: &Value) -> ErrorObject {
    ErrorObject::new(
        code::MISSING_CLIENT_CAPABILITY,
        "the client does not declare a capability that this needs",
    )
    .with_data(json!({ "requiredCapabilities": required }))
}

/// A state is for the same method, name and arguments: those as values, not as text.
fn purpose(method: &str, params: &Params<'_>) -> Vec<u8> {
    let value = |raw: Option<&RawValue>| {
        let mut value: Value = raw.map_or(Value::Null, |raw| {
            serde_json::from_str(raw.get()).expect("it was read as JSON already")
        });
        value.sort_all_objects();
        value
    };
    json!([method, value(params.name), value(params.arguments)])
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::options::MockOptions;
    use crate::mock::question::told;
    use crate::protocol::Message;
    use crate::protocol::scan::{ScanOptions, UniqueKeys};

    const META: &str = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{"roots":{}}}}"#;

    fn ask() -> Outcome {
        Outcome::Ask(Ask::sealed(vec![Question::roots("one")], |_| {
            Outcome::Ask(Ask::sealed(vec![Question::roots("two")], |answers| {
                told(&answers.keys().cloned().collect::<Vec<_>>().join("+"))
            }))
        }))
    }

    fn round(modern: &Modern, params: &Value) -> Result<Value, ErrorObject> {
        let inputs = Inputs::parse("tools/call", params.to_string().as_bytes(), &modern.seal)?;
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{META}}}"#);
        let scan = ScanOptions {
            depth_max: 64,
            unique_keys: UniqueKeys::Everywhere,
        };
        let request = Message::parse(text.into(), scan).unwrap();
        let meta = RequestMeta::parse(&request).unwrap();
        let text = match inputs.settle(modern, &meta, ask())? {
            Settled::Required(text) => text,
            Settled::Decided(Outcome::Result(text)) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        Ok(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn rounds_follow_each_other_by_their_state() {
        let modern = Modern::new(&MockOptions::default()).unwrap();
        let first = round(&modern, &json!({ "name": "t" })).unwrap();
        assert_eq!(first["resultType"], "input_required");
        assert_eq!(
            first["inputRequests"],
            json!({ "one": { "method": "roots/list", "params": {} } })
        );

        let answered = json!({ "one": {} });
        let stateless = round(&modern, &json!({ "name": "t", "inputResponses": answered })).unwrap();
        assert!(
            stateless["inputRequests"]["one"].is_object(),
            "without its state an answer does not count"
        );

        let state = &first["requestState"];
        let retry = json!({ "name": "t", "inputResponses": answered, "requestState": state });
        let second = round(&modern, &retry).unwrap();
        assert!(second["inputRequests"]["two"].is_object(), "{second}");
        assert_ne!(second["requestState"], *state);

        let state = &second["requestState"];
        let retry = json!({ "requestState": state, "inputResponses": { "two": {} }, "name": "t" });
        let text = round(&modern, &retry).unwrap()["content"][0]["text"].clone();
        assert_eq!(text, "one+two");

        let another = json!({ "name": "u", "inputResponses": { "two": {} }, "requestState": state });
        assert_eq!(round(&modern, &another).unwrap_err().code, code::INVALID_PARAMS);
    }

    #[test]
    fn answers_must_be_objects() {
        let modern = Modern::new(&MockOptions::default()).unwrap();
        for wrong in [json!(7), json!({ "one": 7 }), json!([])] {
            let params = json!({ "name": "t", "inputResponses": wrong });
            assert_eq!(
                round(&modern, &params).unwrap_err().code,
                code::INVALID_PARAMS,
                "{wrong}"
            );
        }
        assert!(round(&modern, &json!({ "name": "t", "inputResponses": null })).is_ok());
    }
}
