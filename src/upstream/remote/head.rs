//! What the head of a POST says of the message in it (2026-07-28, "Streamable HTTP").

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;

use crate::protocol::Message;
use crate::protocol::names::header;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The version that a request of the modern era names in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModernHead {
    version: String,
    method: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Params {
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
    #[serde(rename = "taskId")]
    task: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
}

impl ModernHead {
    /// Returns what a message of the modern era is announced with; `None` for one of the handshake era.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let params = message.params()?;
        memchr::memmem::find(&params, META_VERSION.as_bytes())?;
        let read: Params = serde_json::from_slice(&params).ok()?;
        let method = message.method().into_owned();
        let name = match method.as_str() {
            "tools/call" | "prompts/get" => message.name(),
            "resources/read" => message.uri(),
            "tasks/get" | "tasks/update" | "tasks/cancel" => read.task.map(Into::into),
            _ => None,
        };
        Some(Self {
            version: read.meta?.version?,
            name: name.map(|name| encoded(&name)),
            method,
        })
    }

    /// Adds its headers.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let parts = [
            (header::PROTOCOL_VERSION, Some(&self.version)),
            ("mcp-method", Some(&self.method)),
            ("mcp-name", self.name.as_ref()),
        ];
        for (name, value) in parts {
            // A version or method that no header can carry is the server's to refuse.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        }
    }
}

/// Returns a value as a header can carry it: as it is, or in base64 between marks.
fn encoded(value: &str) -> String {
    let is_plain = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
        && !value.starts_with([' ', '\t'])
        && !value.ends_with([' ', '\t'])
        && !(value.starts_with("=?base64?") && value.ends_with("?="));
    if is_plain {
        value.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::SCAN;

    #[track_caller]
    fn check(method: &str, params: &str, expect: &[(&str, &str)]) {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let message = Message::parse(text.into(), SCAN).expect("a message");
        let mut headers = HeaderMap::new();
        if let Some(head) = ModernHead::of(&message) {
            head.write(&mut headers);
        }
        let mut seen: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")))
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, expect, "{method} {params}");
    }

    #[test]
    fn a_modern_request_is_announced_in_the_head() {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        let version = ("mcp-protocol-version", "2026-07-28");
        check(
            "tools/call",
            &format!(r#"{{"name":"echo",{meta}}}"#),
            &[("mcp-method", "tools/call"), ("mcp-name", "echo"), version],
        );
        check(
            "resources/read",
            &format!(r#"{{"uri":"a://ü","name":"b",{meta}}}"#),
            &[
                ("mcp-method", "resources/read"),
                ("mcp-name", "=?base64?YTovL8O8?="),
                version,
            ],
        );
        check(
            "tasks/get",
            &format!(r#"{{"taskId":" t",{meta}}}"#),
            &[
                ("mcp-method", "tasks/get"),
                ("mcp-name", "=?base64?IHQ=?="),
                version,
            ],
        );
        check(
            "server/discover",
            &format!("{{{meta}}}"),
            &[("mcp-method", "server/discover"), version],
        );
        check("tools/call", r#"{"name":"echo"}"#, &[]);
        check(
            "tools/call",
            r#"{"name":"io.modelcontextprotocol/protocolVersion"}"#,
            &[],
        );
    }
}
