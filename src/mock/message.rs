//! JSON-RPC messages: a borrowed envelope to read, functions to write. No trees, no copies of payloads.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) const PARSE_ERROR: i32 = -32700;
pub(crate) const INVALID_REQUEST: i32 = -32600;
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
pub(crate) const INVALID_PARAMS: i32 = -32602;
pub(crate) const RESOURCE_NOT_FOUND: i32 = -32002;

/// One message as it came, with its parts still raw.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow)]
    pub(crate) jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) error: Option<&'a RawValue>,
}

/// An error that becomes the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: String,
    pub(crate) data: Option<serde_json::Value>,
}

impl RpcError {
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }
}

/// Appends the line that answers `id` (raw JSON) with `result` (raw JSON).
pub(crate) fn write_result(line: &mut Vec<u8>, id: &str, result: &str) {
    line.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    line.extend_from_slice(id.as_bytes());
    line.extend_from_slice(b",\"result\":");
    line.extend_from_slice(result.as_bytes());
    line.extend_from_slice(b"}\n");
}

/// Appends the line that answers `id` (raw JSON) with an error.
pub(crate) fn write_error(line: &mut Vec<u8>, id: &str, error: &RpcError) {
    let mut body = serde_json::json!({ "code": error.code, "message": error.message });
    if let Some(data) = &error.data {
        body["data"] = data.clone();
    }
    line.extend_from_slice(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{body}}}\n").as_bytes());
}

/// Appends a notification line; `params` is raw JSON.
pub(crate) fn write_notification(line: &mut Vec<u8>, method: &str, params: Option<&str>) {
    let method = quoted(method);
    let text = match params {
        Some(params) => format!("{{\"jsonrpc\":\"2.0\",\"method\":{method},\"params\":{params}}}\n"),
        None => format!("{{\"jsonrpc\":\"2.0\",\"method\":{method}}}\n"),
    };
    line.extend_from_slice(text.as_bytes());
}

/// Appends a request line with a number for its id; `params` is raw JSON.
pub(crate) fn write_request(line: &mut Vec<u8>, id: u64, method: &str, params: Option<&str>) {
    let method = quoted(method);
    let params = params
        .map(|params| format!(",\"params\":{params}"))
        .unwrap_or_default();
    let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{method}{params}}}\n");
    line.extend_from_slice(text.as_bytes());
}

/// Returns `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 8 + 2);
    serde_json::to_writer(&mut bytes, text).expect("a string serialises into memory");
    String::from_utf8(bytes).expect("JSON of a string is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_keeps_the_type_of_its_id_and_the_bytes_of_its_params() {
        let text = r#"{"jsonrpc":"2.0","id":"7","method":"tools\/call","params":{"a": 1.0}}"#;
        let envelope: Envelope<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(envelope.id.unwrap().get(), "\"7\"");
        assert_eq!(envelope.method.unwrap(), "tools/call");
        assert_eq!(envelope.params.unwrap().get(), "{\"a\": 1.0}");
        assert!(serde_json::from_str::<Envelope<'_>>("[1]").is_err());
    }

    #[test]
    fn answers_are_one_line_each() {
        let mut line = Vec::new();
        write_result(&mut line, "\"x\"", "{}");
        write_error(&mut line, "2", &RpcError::new(METHOD_NOT_FOUND, "line\nbreak"));
        write_notification(&mut line, "notifications/message", Some("{\"level\":\"info\"}"));
        write_request(&mut line, 3, "roots/list", None);
        let text = String::from_utf8(line).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["id"], "x");
        assert_eq!(lines[1]["error"]["message"], "line\nbreak");
        assert_eq!(lines[2]["params"]["level"], "info");
        assert_eq!(
            (&lines[3]["id"], &lines[3]["method"]),
            (&3.into(), &"roots/list".into())
        );
    }
}
