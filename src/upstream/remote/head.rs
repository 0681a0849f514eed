//! What the head of a POST says of a modern message in it (2026-07-28, "Standard Headers", "Custom Headers").

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use crate::protocol::Message;
use crate::protocol::member::{member, string_member};
use crate::protocol::modern::headers::encode;
use crate::protocol::modern::meta::{PROTOCOL_VERSION, RequestMeta};
use crate::protocol::modern::mirror::{ANNOTATION, Mirrored, header_text, mirrored, named_by};
use crate::protocol::names::{header, method};

/// Most tools whose mirrored arguments are kept; the arguments of others have no headers.
const TOOLS_MAX: usize = 4096;

/// A request of the modern era, as its head announces it.
#[derive(Debug, Clone)]
pub(super) struct ModernHead(HeaderMap);

impl ModernHead {
    /// Returns what a message of the modern era is announced with; `None` for one of the handshake era.
    pub(super) fn of(message: &Message, mirrors: &Mirrors) -> Option<Self> {
        let params = message.params()?;
        memchr::memmem::find(&params, PROTOCOL_VERSION.as_bytes())?;
        if !RequestMeta::is_claimed(message) {
            return None;
        }
        let method = message.method();
        let meta = member(&params, "_meta").map(|meta| meta.get().as_bytes());
        let version = meta.and_then(|meta| string_member(meta, PROTOCOL_VERSION));
        let named = named_by(&method).and_then(|key| string_member(&params, key));
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
        if method == method::TOOLS_CALL
            && let Some(tool) = named
        {
            mirrors.write(
                &tool,
                member(&params, "arguments").map_or("{}", |raw| raw.get()),
                &mut headers,
            );
        }
        Some(Self(headers))
    }

    /// Returns its headers.
    pub(super) fn headers(&self) -> HeaderMap {
        self.0.clone()
    }
}

/// Which arguments of which tools headers mirror, as the server's own lists say. A std mutex: held for look-ups.
#[derive(Debug, Default)]
pub(super) struct Mirrors(Mutex<BTreeMap<String, Vec<Mirrored>>>);

#[derive(Deserialize)]
struct Tools {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    #[serde(rename = "inputSchema")]
    schema: Value,
}

impl Mirrors {
    /// Learns from the answer to `tools/list`.
    pub(super) fn learn(&self, answer: &Message) {
        let Some(result) = answer.result() else { return };
        let Ok(listed) = serde_json::from_slice::<Tools>(&result) else {
            return;
        };
        let mut tools = self.lock();
        for tool in listed.tools {
            // A tool with a wrong annotation is not called over HTTP with headers of ours.
            let found = mirrored(&tool.schema).unwrap_or_default();
            if found.is_empty() {
                tools.remove(&tool.name);
            } else if tools.len() < TOOLS_MAX {
                tools.insert(tool.name, found);
            }
        }
    }

    /// Returns whether a list says anything that is to be learned, or may have said so before.
    pub(super) fn concerns(&self, answer: &Message) -> bool {
        memchr::memmem::find(answer.bytes(), ANNOTATION.as_bytes()).is_some() || !self.lock().is_empty()
    }

    fn write(&self, tool: &str, arguments: &str, headers: &mut HeaderMap) {
        let tools = self.lock();
        let Some(mirrored) = tools.get(tool) else { return };
        let Ok(arguments) = serde_json::from_str::<Value>(arguments) else {
            return;
        };
        for Mirrored { header, path } in mirrored {
            let value = header_text(&arguments, path);
            let value = value.and_then(|text| HeaderValue::from_str(&encode(&text)).ok());
            if let (Some(value), Ok(name)) = (value, HeaderName::from_bytes(header.as_bytes())) {
                headers.insert(name, value);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Mirrored>>> {
        self.0.lock().expect("no holder panics")
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
    fn check_with(mirrors: &Mirrors, method: &str, params: &str, expect: &[(&str, &str)]) {
        let message = message(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#
        ));
        let headers = ModernHead::of(&message, mirrors)
            .map(|head| head.headers())
            .unwrap_or_default();
        let seen = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        assert_eq!(seen, expect, "{method} {params}");
    }

    #[track_caller]
    fn check(method: &str, params: &str, expect: &[(&str, &str)]) {
        check_with(&Mirrors::default(), method, params, expect);
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
        check("tools/call", r#"{"name":"echo"}"#, &[]);
        check(
            "tools/call",
            r#"{"name":"io.modelcontextprotocol/protocolVersion"}"#,
            &[],
        );
    }

    #[test]
    fn arguments_are_mirrored_as_the_list_of_tools_says() {
        let mirrors = Mirrors::default();
        let list = |schema: &str| {
            message(format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{{"name":"a","inputSchema":{schema}}},{{"name":"b","inputSchema":{{}}}}]}}}}"#
            ))
        };
        let annotated = list(
            r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}}}"#,
        );
        assert!(mirrors.concerns(&annotated));
        mirrors.learn(&annotated);
        let call = format!(r#"{{"name":"a","arguments":{{"region":"Süd","n":7}},{META}}}"#);
        let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "a"));
        let region = ("mcp-param-region", "=?base64?U8O8ZA==?=");
        check_with(
            &mirrors,
            "tools/call",
            &call,
            &[method, name, ("mcp-param-n", "7"), region, VERSION],
        );
        let absent = format!(r#"{{"name":"a","arguments":{{"region":null}},{META}}}"#);
        check_with(&mirrors, "tools/call", &absent, &[method, name, VERSION]);
        let plain = list("{}");
        assert!(mirrors.concerns(&plain), "what was learned is to be forgotten");
        mirrors.learn(&plain);
        check_with(&mirrors, "tools/call", &call, &[method, name, VERSION]);
        assert!(!mirrors.concerns(&plain));
    }

    #[test]
    fn so_many_tools_are_kept_and_no_more() {
        let mirrors = Mirrors::default();
        let schema = r#"{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}"#;
        let tool = |number: usize| format!(r#"{{"name":"{number}","inputSchema":{schema}}}"#);
        let tools: Vec<String> = (0..=TOOLS_MAX).map(tool).collect();
        let list = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{}]}}}}"#,
            tools.join(",")
        );
        mirrors.learn(&message(list));
        assert_eq!(mirrors.lock().len(), TOOLS_MAX);
    }
}
