//! `resources/read`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::additions::Additions;
use super::content::IMAGE_PNG;
use super::message::parse;
use crate::protocol::names::code;
use crate::protocol::reply::ErrorObject;

/// Returns `params.uri`.
///
/// # Errors
/// If it is missing or not a string.
pub(crate) fn uri(params: Option<&[u8]>) -> Result<String, ErrorObject> {
    #[derive(Deserialize)]
    struct Params {
        uri: String,
    }
    parse(params).map(|params: Params| params.uri)
}

/// Returns the result of reading `uri`.
///
/// # Errors
/// If there is no such resource, with the code of the handshake era.
pub(crate) fn read(uri: &str, additions: &Additions) -> Result<String, ErrorObject> {
    let contents = match uri {
        "test://static-text" => text_of(uri, "This is the content of the static text resource."),
        "test://static-binary" => json!({ "uri": uri, "mimeType": "image/png", "blob": IMAGE_PNG }),
        "test://watched-resource" => text_of(uri, "Watched resource content."),
        _ if additions.has_resource(uri) => text_of(uri, "Added by the change tool."),
        _ => template_data(uri).ok_or_else(|| not_found(uri))?,
    };
    Ok(json!({ "contents": [contents] }).to_string())
}

/// Fills in `test://template/{id}/data`.
fn template_data(uri: &str) -> Option<Value> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    if id.is_empty() || id.contains('/') {
        return None;
    }
    let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
    Some(json!({ "uri": uri, "mimeType": "application/json", "text": data.to_string() }))
}

fn text_of(uri: &str, text: &str) -> Value {
    json!({ "uri": uri, "mimeType": "text/plain", "text": text })
}

fn not_found(uri: &str) -> ErrorObject {
    ErrorObject::new(code::RESOURCE_NOT_FOUND, "Resource not found").with_data(json!({ "uri": uri }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(uri: &str) -> Value {
        let result: Value = serde_json::from_str(&read(uri, &Additions::default()).unwrap()).unwrap();
        result["contents"][0].clone()
    }

    #[test]
    fn a_template_is_filled_in() {
        let content = contents("test://template/123/data");
        assert_eq!(content["uri"], "test://template/123/data");
        assert_eq!(
            content["text"],
            r#"{"id":"123","templateTest":true,"data":"Data for ID: 123"}"#
        );
    }

    #[test]
    fn what_is_read_names_what_was_asked_for() {
        for uri in [
            "test://static-text",
            "test://static-binary",
            "test://watched-resource",
        ] {
            assert_eq!(contents(uri)["uri"], uri);
        }
    }

    #[test]
    fn an_unknown_resource_is_an_error_that_names_it() {
        for uri in [
            "test://other",
            "test://template//data",
            "test://template/a/b/data",
            "test://added/x",
        ] {
            let error = read(uri, &Additions::default()).unwrap_err();
            assert_eq!(
                (error.code, &error.data.unwrap()["uri"]),
                (code::RESOURCE_NOT_FOUND, &uri.into())
            );
        }
    }
}
