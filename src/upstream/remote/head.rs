//! What the head of a POST says of a modern message in it (2026-07-28, "Standard Headers", "Custom Headers").

use std::borrow::Cow;

use reqwest::header::{HeaderMap, HeaderValue};

use super::mirrors::Mirrors;
use crate::protocol::Message;
use crate::protocol::member::string_member;
use crate::protocol::modern::headers::encode;
use crate::protocol::modern::meta::{PROTOCOL_VERSION, RequestMeta};
use crate::protocol::modern::mirror::{name_of, named_by};
use crate::protocol::names::{header, method};

/// A request of the modern era, as its head announces it.
#[derive(Debug, Clone)]
pub(super) struct ModernHead {
    headers: HeaderMap,
    /// The tool that it calls.
    tool: Option<String>,
}

impl ModernHead {
    /// Returns what a message of the modern era is announced with; `None` for one of the handshake era.
    pub(super) fn of(message: &Message) -> Option<Self> {
        if !RequestMeta::is_claimed(message) {
            return None;
        }
        let method = message.method();
        let version = message
            .meta()
            .and_then(|meta| string_member(meta, PROTOCOL_VERSION));
        let named = named_by(&method).and_then(|key| name_of(message, key));
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::PROTOCOL_VERSION, version),
            (header::METHOD, Some(method.to_string())),
            (
                header::NAME,
                named.as_deref().map(|name| encode(name).into_owned()),
            ),
        ] {
            // A version or a method that no header can carry is the server's to refuse.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(name, value);
            }
        }
        let tool = named
            .filter(|_| method == method::TOOLS_CALL)
            .map(Cow::into_owned);
        Some(Self { headers, tool })
    }

    /// Returns the tool that it calls, if it calls one.
    pub(super) fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// Returns the headers; those for arguments by what is known of the tool.
    pub(super) fn headers(&self, message: &Message, mirrors: &Mirrors) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Some(tool) = &self.tool {
            mirrors.write(tool, &message.params().unwrap_or_default(), &mut headers);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::SCAN;

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");

    fn message(text: String) -> Message {
        Message::parse(text.into(), SCAN).expect("a message")
    }

    #[track_caller]
    fn check(method: &str, params: &str, expect: &[(&str, &str)]) {
        let message = message(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#
        ));
        let headers = ModernHead::of(&message)
            .map(|head| head.headers(&message, &Mirrors::default()))
            .unwrap_or_default();
        let seen = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        assert_eq!(seen, expect, "{method} {params}");
    }

    #[test]
    fn a_modern_request_is_announced_in_the_head() {
        check(
            "tools/call",
            &format!(r#"{{"name":"echo",{META}}}"#),
            &[("mcp-method", "tools/call"), ("mcp-name", "echo"), VERSION],
        );
        check(
            "resources/read",
            &format!(r#"{{"uri":"a://ü","name":"b",{META}}}"#),
            &[
                ("mcp-method", "resources/read"),
                ("mcp-name", "=?base64?YTovL8O8?="),
                VERSION,
            ],
        );
        check(
            "tasks/get",
            &format!(r#"{{"taskId":" t",{META}}}"#),
            &[
                ("mcp-method", "tasks/get"),
                ("mcp-name", "=?base64?IHQ=?="),
                VERSION,
            ],
        );
        check(
            "server/discover",
            &format!("{{{META}}}"),
            &[("mcp-method", "server/discover"), VERSION],
        );
        // Many a serializer escapes the slash.
        check(
            "server/discover",
            &format!("{{{}}}", META.replace('/', "\\/")),
            &[("mcp-method", "server/discover"), VERSION],
        );
        check("tools/call", r#"{"name":"echo"}"#, &[]);
        check(
            "tools/call",
            r#"{"name":"io.modelcontextprotocol/protocolVersion"}"#,
            &[],
        );
    }
}
