//! `completion/complete`.

use serde::Deserialize;
use serde_json::json;

use super::message::parse;
use crate::protocol::reply::ErrorObject;

#[derive(Deserialize)]
struct Params {
    r#ref: Reference,
    argument: Argument,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    value: String,
}

/// Returns the known values of an argument that begin as the client's user did.
///
/// # Errors
/// If the parameters are not of the shape the method wants.
pub(crate) fn complete(params: Option<&[u8]>) -> Result<String, ErrorObject> {
    let params: Params = parse(params)?;
    let begun = params.argument.value.as_str();
    let values: Vec<&str> = params
        .known_values()
        .iter()
        .copied()
        .filter(|value| value.starts_with(begun))
        .collect();
    let total = values.len();
    Ok(json!({ "completion": { "values": values, "total": total, "hasMore": false } }).to_string())
}

impl Params {
    fn known_values(&self) -> &'static [&'static str] {
        match (&self.r#ref, self.argument.name.as_str()) {
            (Reference::Prompt { name }, "arg1") if name == "test_prompt_with_arguments" => {
                &["paris", "park", "party", "test", "testing"]
            }
            (Reference::Prompt { name }, "resourceUri") if name == "test_prompt_with_embedded_resource" => &[
                "test://static-text",
                "test://static-binary",
                "test://watched-resource",
            ],
            (Reference::Resource { uri }, "id") if uri == "test://template/{id}/data" => &["1", "12", "123"],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(params: &str) -> serde_json::Value {
        let completed = complete(Some(params.as_bytes())).unwrap();
        let result: serde_json::Value = serde_json::from_str(&completed).unwrap();
        result["completion"]["values"].clone()
    }

    #[test]
    fn values_begin_as_the_user_did() {
        let prompt = r#"{"ref":{"type":"ref/prompt","name":"test_prompt_with_arguments"},
            "argument":{"name":"arg1","value":"par"}}"#;
        assert_eq!(values(prompt), json!(["paris", "park", "party"]));
        let template = r#"{"ref":{"type":"ref/resource","uri":"test://template/{id}/data"},
            "argument":{"name":"id","value":"12"}}"#;
        assert_eq!(values(template), json!(["12", "123"]));
        let unknown = r#"{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"y","value":""}}"#;
        assert_eq!(values(unknown), json!([]));
    }
}
