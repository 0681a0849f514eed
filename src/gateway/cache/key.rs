//! What an answer depends on: by that it is found again, and by that it is known when it does not hold any more.

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::protocol::Message;
use crate::protocol::mcp::LISTINGS;
use crate::protocol::member::{Members, members};
use crate::protocol::modern::meta::{CLIENT_INFO, LOG_LEVEL};
use crate::protocol::names::method;

/// What a server can say that it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The lists of resources and of their templates.
    Resources,
    /// What is read of resources.
    Contents,
}

impl Topic {
    /// How many there are.
    pub(super) const COUNT: usize = 4;

    pub(super) fn is_list(self) -> bool {
        self != Self::Contents
    }
}

/// Returns what the answer to a request with this method is about; `None` where it is not kept. `server/discover` is
/// answered from what the server has said at its start.
fn topic_of(name: &str) -> Option<Topic> {
    if name == method::READ {
        return Some(Topic::Contents);
    }
    let listing = LISTINGS.iter().find(|listing| listing.method == name)?;
    changed_by(listing.changed).first().copied()
}

/// Returns what a notification with this method says has changed. Where there are other resources, what was read may be
/// another's.
pub(super) fn changed_by(name: &str) -> &'static [Topic] {
    match name {
        method::TOOLS_CHANGED => &[Topic::Tools],
        method::PROMPTS_CHANGED => &[Topic::Prompts],
        method::RESOURCES_CHANGED => &[Topic::Resources, Topic::Contents],
        method::RESOURCE_UPDATED => &[Topic::Contents],
        _ => &[],
    }
}

/// The members of `_meta` that change nothing in an answer: by whom, how and along with what it is to be told. Any other
/// may matter, above all what the client can do.
const NEUTRAL: [&str; 6] = [
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
    CLIENT_INFO,
    LOG_LEVEL,
];
/// What makes of a request the continuation of another one, whose answer is never kept.
const CONTINUING: [&str; 2] = ["inputResponses", "requestState"];

/// What a request asks, as far as its answer depends on it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) topic: Topic,
    pub(super) fingerprint: Fingerprint,
    /// The resource that it reads.
    pub(super) uri: Option<Box<str>>,
    /// It goes on with a list that is too long for one answer.
    pub(super) is_next_page: bool,
}

/// The digest of a request: its method and all parameters that an answer may depend on.
pub(super) type Fingerprint = [u8; 32];

/// A longer request is not read for this.
const BYTES_MAX: usize = 16 * 1024;

impl Asked {
    /// Reads a request; `None` for one whose answer is not to be kept.
    pub(super) fn of(request: &Message) -> Option<Self> {
        let method = request.method();
        let topic = topic_of(&method)?;
        if request.bytes().len() > BYTES_MAX {
            return None;
        }
        let params = request.params();
        let mut params = match &params {
            Some(params) => members(params)?,
            None => Members::new(),
        };
        if CONTINUING.iter().any(|name| params.contains_key(*name)) {
            return None;
        }
        let mut meta = match params.remove("_meta") {
            Some(meta) => members(meta.get().as_bytes())?,
            None => Members::new(),
        };
        meta.retain(|name, _| !NEUTRAL.contains(&&**name));
        let mut hash = Sha256::new();
        add(&mut hash, method.as_bytes());
        add_all(&mut hash, &params);
        add_all(&mut hash, &meta);
        Some(Self {
            topic,
            fingerprint: hash.finalize().into(),
            uri: request.uri().filter(|_| !topic.is_list()).map(Into::into),
            is_next_page: topic.is_list() && params.contains_key("cursor"),
        })
    }
}

fn add_all(hash: &mut Sha256, members: &Members<'_>) {
    hash.update(members.len().to_le_bytes());
    for (name, value) in members {
        let value: &RawValue = value;
        add(hash, name.as_bytes());
        add(hash, value.get().as_bytes());
    }
}

/// With its length, so that no two lists of texts look alike.
fn add(hash: &mut Sha256, text: &[u8]) {
    hash.update(text.len().to_le_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::SCAN;

    fn asked(method: &str, params: &str) -> Option<Asked> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        Asked::of(&Message::parse(text.into(), SCAN).expect("a request"))
    }

    fn of(method: &str, params: &str) -> Option<Fingerprint> {
        Some(asked(method, params)?.fingerprint)
    }

    #[test]
    fn what_may_change_an_answer_is_in_the_fingerprint() {
        const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
        let plain = of("tools/list", "{}").expect("it may be kept");
        let others = [
            of("prompts/list", "{}"),
            of("tools/list", r#"{"cursor":"1"}"#),
            of("tools/list", r#"{"cursor":"2"}"#),
            of("tools/list", r#"{"cursor":null}"#),
            of("tools/list", r#"{"unknown":"1"}"#),
            of("tools/list", &format!(r#"{{"_meta":{{"{CAPABILITIES}":{{}}}}}}"#)),
            of(
                "tools/list",
                &format!(r#"{{"_meta":{{"{CAPABILITIES}":{{"roots":{{}}}}}}}}"#),
            ),
            of("tools/list", r#"{"_meta":{"com.example/tenant":"1"}}"#),
            of("tools/list", r#"{"com.example/tenant":"1"}"#),
        ];
        let mut seen = vec![plain];
        for other in others.into_iter().flatten() {
            assert!(!seen.contains(&other), "{other:?}");
            seen.push(other);
        }
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn what_changes_no_answer_is_not() {
        let plain = of("resources/read", r#"{"uri":"a:b","x":1}"#);
        let dressed = r#"{"x":1,"_meta":{"progressToken":7,"traceparent":"00-1","tracestate":"a=1","baggage":"b=1",
            "io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/clientInfo":{"name":"c"}},"uri":"a:b"}"#;
        assert!(plain.is_some());
        assert_eq!(of("resources/read", dressed), plain);
    }

    #[test]
    fn a_page_and_a_resource_are_known() {
        let asked = |method, params| asked(method, params).expect("it may be kept");
        let page = asked("tools/list", r#"{"cursor":"1","uri":"no resource"}"#);
        assert!(page.is_next_page && page.uri.is_none());
        let read = asked("resources/read", r#"{"uri":"a:b","cursor":"no page"}"#);
        assert!(!read.is_next_page && read.uri.as_deref() == Some("a:b"));
    }

    #[test]
    fn what_goes_on_with_another_request_has_none() {
        for params in [
            r#"{"uri":"a:b","inputResponses":{}}"#,
            r#"{"uri":"a:b","requestState":"s"}"#,
            r#"{"uri":"a:b","requestState":null}"#,
        ] {
            assert_eq!(of("resources/read", params), None, "{params}");
        }
    }

    #[test]
    fn what_is_too_long_has_none() {
        let whole = |length| format!(r#"{{"uri":"{}"}}"#, "x".repeat(length));
        assert!(of("resources/read", &whole(BYTES_MAX - 100)).is_some());
        assert_eq!(of("resources/read", &whole(BYTES_MAX)), None);
    }

    #[test]
    fn each_list_has_the_notification_that_says_it_changed() {
        let check = |method, expect| assert_eq!(topic_of(method), expect, "{method}");
        check("tools/list", Some(Topic::Tools));
        check("prompts/list", Some(Topic::Prompts));
        check("resources/list", Some(Topic::Resources));
        check("resources/templates/list", Some(Topic::Resources));
        check("resources/read", Some(Topic::Contents));
        for method in ["tools/call", "prompts/get", "server/discover", "skills/list"] {
            check(method, None);
        }
        assert!(changed_by("notifications/message").is_empty());
    }
}
