//! What the mock says, one line each, and what it reads of parameters: a thin layer over `protocol`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::RequestId;
use crate::protocol::names::code;
use crate::protocol::reply::{self, ErrorObject};

/// Appends the line that answers `id` with `result`, which is JSON.
pub(crate) fn write_result(line: &mut Vec<u8>, id: &RequestId, result: &str) {
    reply::write_result(id, result.as_bytes(), line);
    line.push(b'\n');
}

/// Appends the line that answers `id`, or nobody in particular, with an error.
pub(crate) fn write_error(line: &mut Vec<u8>, id: Option<&RequestId>, error: &ErrorObject) {
    reply::write_error(id, error, line);
    line.push(b'\n');
}

/// Appends a notification.
pub(crate) fn write_notification(line: &mut Vec<u8>, method: &str, params: Option<&RawValue>) {
    reply::write_notification(method, params, line);
    line.push(b'\n');
}

/// Appends a request.
pub(crate) fn write_request(line: &mut Vec<u8>, id: i64, method: &str, params: Option<&RawValue>) {
    reply::write_request(id, method, params, line);
    line.push(b'\n');
}

/// Reads the parameters of a request; none are the same as an empty object.
///
/// # Errors
/// If they are not of the shape the method wants.
pub(crate) fn parse<'a, T: Deserialize<'a>>(params: Option<&'a [u8]>) -> Result<T, ErrorObject> {
    serde_json::from_slice(params.unwrap_or(b"{}")).map_err(|error| invalid_params(error.to_string()))
}

/// Returns the error for parameters that are wrong.
pub(crate) fn invalid_params(message: impl Into<String>) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, message)
}

/// Returns a value as JSON to be sent.
pub(crate) fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value becomes text")
}

/// Returns `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string becomes JSON")
}
