//! The messages: one of 1 KB, and two of 100 KB that are as different as can be.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use portcullis::plugin::Matter;
use portcullis::plugin::call::{CallContext, Direction, MessageKind, Principal};
use portcullis::protocol::document::Document;

use crate::samples::Samples;
use crate::timed;

/// What the policies look at.
const POINTER: &str = "/params/arguments/path";
/// What a session begins with.
pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}"#;

/// A message.
#[derive(Debug)]
pub(crate) struct Body {
    /// For the table.
    pub(crate) name: &'static str,
    text: Bytes,
    /// The bulk of it.
    content: String,
}

impl Body {
    /// Returns all of them.
    pub(crate) fn all() -> [Self; 3] {
        let objects: Vec<String> = (0..1000)
            .map(|n| format!(r#"{{"id":{n},"name":"item {n}","tags":["a","b"],"price":12.5,"text":"some words of a text about it {n}"}}"#))
            .collect();
        [
            Self::new("1 KB", &format!("\"{}\"", "some words ".repeat(75))),
            Self::new("100 KB, one text", &format!("\"{}\"", "some words ".repeat(9090))),
            Self::new("100 KB, 1,000 objects", &format!("[{}]", objects.join(","))),
        ]
    }

    fn new(name: &'static str, content: &str) -> Self {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"echo","arguments":{{"path":"docs/readme.md","text":"a short text","content":{content}}}}}}}"#
        );
        Self {
            name,
            text: text.into(),
            content: content.to_owned(),
        }
    }

    /// Returns an answer of the same size.
    pub(crate) fn answer(&self) -> Bytes {
        let content = &self.content;
        format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":[],"structuredContent":{{"content":{content}}}}}}}"#)
            .into()
    }

    /// Returns the message as nobody has read it yet.
    pub(crate) fn matter(&self) -> Matter {
        Matter {
            message: Arc::new(Document::new(self.text.clone())),
            input_schema: None,
        }
    }

    /// Returns the message as somebody has read it.
    pub(crate) fn walked(&self) -> Matter {
        let matter = self.matter();
        assert!(matter.message.at(POINTER).is_ok_and(|span| span.is_some()));
        matter
    }

    /// Returns the message.
    pub(crate) fn text(&self) -> &Bytes {
        &self.text
    }

    /// Returns the circumstances, as a gateway has them.
    pub(crate) fn ctx(&self) -> CallContext {
        CallContext {
            request_id: "0198f3d2-71".to_owned(),
            session: Some("6b86b273ff34fce1".to_owned()),
            direction: Direction::ClientToServer,
            kind: MessageKind::Request,
            method: "tools/call".to_owned(),
            target: Some("echo".to_owned()),
            server: Some("mock".to_owned()),
            mode: Some("chat".to_owned()),
            principal: Some(Principal {
                subject: "alice".to_owned(),
                issuer: None,
                roles: Vec::new(),
            }),
            protocol_version: Some("2025-11-25".to_owned()),
            body_size: self.text.len() as u32,
            attributes: ["client.name", "client.version"]
                .map(|key| (key.to_owned(), "1.0.0".to_owned()))
                .to_vec(),
        }
    }

    /// Times the first walk.
    pub(crate) fn walks(&self, calls: usize) -> Samples {
        let walk = |matter: Matter| {
            black_box(matter.message.at(POINTER)).expect("unique keys");
        };
        timed(calls, || self.matter(), walk)
    }

    /// Times the templates' decision, made in the host.
    pub(crate) fn native(&self, calls: usize) -> Samples {
        let matter = self.walked();
        let judge = |()| {
            let span = matter.message.at(POINTER).expect("unique keys").expect("a path");
            let path: String = serde_json::from_str(matter.message.text(span)).expect("a text");
            black_box(path.contains("../"));
        };
        timed(calls, || (), judge)
    }
}
