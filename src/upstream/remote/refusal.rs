//! An answer with a status that says no, and what its body says of that.

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::body::refusal_text;
use crate::protocol::names::code;

/// A refusal that has been read.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Its status, which is not one of success.
    pub(super) status: StatusCode,
    error: Option<Box<RawValue>>,
    /// Whether the error says which request it answers.
    is_answer: bool,
    code: i64,
    message: String,
}

#[derive(Deserialize)]
struct Envelope {
    id: Option<serde_json::Value>,
    error: Box<RawValue>,
}

#[derive(Deserialize)]
struct Error {
    code: i64,
    message: String,
}

/// What only a server of the modern era answers (2026-07-28, "Errors").
const MODERN_CODES: std::ops::RangeInclusive<i64> = -32_022..=-32_020;

impl Refusal {
    /// Reads it, within limits of length and time.
    pub(super) async fn read(response: Response) -> Self {
        let status = response.status();
        Self::of(status, refusal_text(response).await.unwrap_or_default())
    }

    fn of(status: StatusCode, body: Bytes) -> Self {
        let envelope: Option<Envelope> = serde_json::from_slice(&body).ok();
        let error = envelope.and_then(|envelope| {
            let read: Error = serde_json::from_str(envelope.error.get()).ok()?;
            Some((envelope, read))
        });
        match error {
            Some((envelope, Error { code, message })) => Self {
                status,
                is_answer: envelope.id.is_some(),
                error: Some(envelope.error),
                code,
                message,
            },
            None => Self {
                status,
                error: None,
                is_answer: false,
                code: 0,
                message: String::new(),
            },
        }
    }

    /// Returns the JSON-RPC error in it.
    pub(super) fn error(&self) -> Option<&RawValue> {
        self.error.as_deref()
    }

    /// Returns whether it says that the session is unknown: 404 by the specification, 400 by servers that are written
    /// after the examples of the TypeScript SDK.
    pub(super) fn is_unknown_session(&self) -> bool {
        let says_so = || self.code == -32_000 && self.message.to_ascii_lowercase().contains("session");
        self.status == StatusCode::NOT_FOUND || (self.status == StatusCode::BAD_REQUEST && says_so())
    }

    /// Returns whether it says that the head is not what the body wants it to be.
    pub(super) fn is_header_mismatch(&self) -> bool {
        self.code == i64::from(code::HEADER_MISMATCH)
    }

    /// Returns whether it may be that of a server that speaks HTTP+SSE alone: one that answers the very request in
    /// JSON-RPC does not.
    pub(super) fn suggests_sse(&self) -> bool {
        let speaks = self.is_answer || MODERN_CODES.contains(&self.code);
        matches!(self.status.as_u16(), 400 | 404 | 405) && !speaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_session_and_an_old_server_are_told_from_other_refusals() {
        let check = |status: u16, body: &'static str, session, sse| {
            let status = StatusCode::from_u16(status).expect("a status");
            let refusal = Refusal::of(status, Bytes::from_static(body.as_bytes()));
            assert_eq!(
                (refusal.is_unknown_session(), refusal.suggests_sse()),
                (session, sse),
                "{status} {body}"
            );
        };
        check(404, "", true, true);
        let unknown = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#;
        check(404, unknown, true, true);
        let sdk = r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#;
        check(400, sdk, true, false);
        let other = r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"no such session"}}"#;
        check(400, other, false, false);
        check(
            400,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"m"}}"#,
            false,
            true,
        );
        check(
            400,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"m"}}"#,
            false,
            false,
        );
        check(
            404,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}"#,
            true,
            false,
        );
        check(400, "<html>", false, true);
        check(405, "{}", false, true);
        check(401, "", false, false);
        check(503, sdk, false, false);
    }
}
