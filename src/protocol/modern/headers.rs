//! Values of the body in headers (2026-07-28, "Value Encoding"): plain where a header can hold them, base64 otherwise.

use std::borrow::Cow;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use thiserror::Error;

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// The value of a header stands for no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the value is marked as base64 but is none, or is not UTF-8 inside")]
pub struct HeaderValueError;

/// Returns `text` as the value of a header.
pub fn encode(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{OPEN}{}{CLOSE}", BASE64_STANDARD.encode(text)))
    }
}

/// Returns the text that the value of a header stands for; space around it does not count.
///
/// # Errors
/// The value is marked as base64 and is none.
pub fn decode(value: &str) -> Result<Cow<'_, str>, HeaderValueError> {
    let value = value.trim_matches([' ', '\t']);
    let Some(inside) = value.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)) else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = BASE64_STANDARD.decode(inside).map_err(|_| HeaderValueError)?;
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| HeaderValueError)
}

fn is_plain(text: &str) -> bool {
    let has_edge = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = text.as_bytes();
    let is_visible = bytes.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e));
    let has_edges = has_edge(bytes.first()) || has_edge(bytes.last());
    let looks_encoded = text.starts_with(OPEN) && text.ends_with(CLOSE);
    is_visible && !has_edges && !looks_encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (text, value) in [
            ("get_weather", "get_weather"),
            ("", ""),
            ("a b\tc", "a b\tc"),
            (" a", "=?base64?IGE=?="),
            ("grüße", "=?base64?Z3LDvMOfZQ==?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(encode(text), value);
            assert_eq!(decode(value).as_deref(), Ok(text));
        }
    }

    #[test]
    fn only_the_whole_mark_counts() {
        assert_eq!(decode("  x ").as_deref(), Ok("x"));
        assert_eq!(decode("=?BASE64?YQ==?=").as_deref(), Ok("=?BASE64?YQ==?="));
        assert_eq!(decode("=?base64?YQ==").as_deref(), Ok("=?base64?YQ=="));
        assert_eq!(decode("=?base64?YQ?="), Err(HeaderValueError));
        assert_eq!(decode("=?base64?Y*==?="), Err(HeaderValueError));
        assert_eq!(decode("=?base64?/w==?="), Err(HeaderValueError));
    }
}
