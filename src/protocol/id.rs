//! JSON-RPC request ids and progress tokens: an integer or a string, restored as they came.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A request id (JSON-RPC 2.0 §4; MCP allows integers and strings). `1.0` is the integer 1; a fraction is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestId {
    /// An integer within the range of `i64`.
    Number(i64),
    /// Any string; its length is bounded by the size of the message.
    String(Arc<str>),
}

impl RequestId {
    /// Reads an id from its JSON text; `None` if that is no integer and no string.
    pub fn from_json(text: &[u8]) -> Option<Self> {
        if text.first() == Some(&b'"') {
            let text: String = serde_json::from_slice(text).ok()?;
            return Some(Self::String(text.into()));
        }
        if let Ok(number) = serde_json::from_slice::<i64>(text) {
            return Some(Self::Number(number));
        }
        let float: f64 = serde_json::from_slice(text).ok()?;
        let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an integer within 2^53, checked above"
        )]
        exact.then_some(Self::Number(float as i64))
    }

    /// Appends the JSON text of this id.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => write_integer(*number, out),
            Self::String(text) => {
                serde_json::to_writer(out, &**text).expect("a string is written to memory without errors");
            }
        }
    }
}

/// Appends an integer as text without going through a `String`.
pub fn write_integer(number: i64, out: &mut Vec<u8>) {
    use std::io::Write;
    write!(out, "{number}").expect("writing to memory does not fail");
}

impl From<i64> for RequestId {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{text:?}"),
        }
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::String(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        Self::from_json(raw.get().as_bytes())
            .ok_or_else(|| serde::de::Error::custom("an id is an integer or a string"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<RequestId>) {
        assert_eq!(RequestId::from_json(text.as_bytes()), expect, "{text}");
    }

    #[test]
    fn reads_integers_and_strings_only() {
        check("1", Some(RequestId::Number(1)));
        check("1.0", Some(RequestId::Number(1)));
        check("-7", Some(RequestId::Number(-7)));
        check("9223372036854775807", Some(RequestId::Number(i64::MAX)));
        check("\"1\"", Some(RequestId::String("1".into())));
        check("\"a\\u0062\"", Some(RequestId::String("ab".into())));
        for bad in [
            "1.5",
            "null",
            "true",
            "[1]",
            "{}",
            "1e300",
            "18446744073709551616",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn writes_what_it_read() {
        for text in ["1", "-7", "\"1\"", "\"q\\\"uote\""] {
            let mut out = Vec::new();
            RequestId::from_json(text.as_bytes())
                .expect("valid")
                .write(&mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
