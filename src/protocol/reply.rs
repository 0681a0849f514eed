//! Messages that the gateway writes itself.

use serde_json::Value;
use serde_json::value::RawValue;

use super::id::RequestId;

/// A JSON-RPC error object (JSON-RPC 2.0 §5.1) of the gateway's own.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorObject {
    /// See [`super::names::code`].
    pub code: i32,
    /// One sentence, fit for whoever made the request.
    pub message: String,
    /// Details for programs.
    pub data: Option<Value>,
}

impl ErrorObject {
    /// Returns an error without details.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// Adds details for programs.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// Appends an error answer; without an id it carries `null`, as JSON-RPC 2.0 §5 asks for requests that could not be
/// read.
pub fn write_error(id: Option<&RequestId>, error: &ErrorObject, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    match id {
        Some(id) => id.write(out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","error":"#);
    let mut object = serde_json::json!({ "code": error.code, "message": error.message });
    if let Some(data) = &error.data {
        object["data"] = data.clone();
    }
    serde_json::to_writer(&mut *out, &object).expect("a JSON value is written to memory without errors");
    out.push(b'}');
}

/// Appends a result answer; `result` is JSON.
pub fn write_result(id: &RequestId, result: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result);
    out.push(b'}');
}

/// Appends a request of the gateway's own; `params` is JSON.
pub fn write_request(id: i64, method: &str, params: Option<&RawValue>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    super::id::write_integer(id, out);
    out.push(b',');
    write_method(method, params, out);
}

/// Appends a notification of the gateway's own; `params` is JSON.
pub fn write_notification(method: &str, params: Option<&RawValue>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","#);
    write_method(method, params, out);
}

fn write_method(method: &str, params: Option<&RawValue>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""method":"#);
    serde_json::to_writer(&mut *out, method).expect("a string is written to memory without errors");
    if let Some(params) = params {
        out.extend_from_slice(br#","params":"#);
        out.extend_from_slice(params.get().as_bytes());
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl Fn(&mut Vec<u8>), expect: &str) {
        let mut out = Vec::new();
        write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    }

    #[test]
    fn writes_answers() {
        let error = ErrorObject::new(-32000, "no \"way\"");
        check(
            |out| write_error(None, &error, out),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"no \"way\""}}"#,
        );
        let error = error.with_data(serde_json::json!({ "server": "x" }));
        check(
            |out| write_error(Some(&RequestId::Number(1)), &error, out),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no \"way\"","data":{"server":"x"}}}"#,
        );
        check(
            |out| write_result(&RequestId::String("a".into()), b"{}", out),
            r#"{"jsonrpc":"2.0","id":"a","result":{}}"#,
        );
    }

    #[test]
    fn writes_requests_and_notifications() {
        let params = RawValue::from_string("{\"a\":1}".to_owned()).expect("JSON");
        check(
            |out| write_request(3, "ping", Some(&params), out),
            r#"{"jsonrpc":"2.0","id":3,"method":"ping","params":{"a":1}}"#,
        );
        check(
            |out| write_notification("notifications/initialized", None, out),
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        );
    }
}
