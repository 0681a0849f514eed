//! A message of one era in the words of the other: what the other does not know is taken out, what it needs is added,
//! everything else stays byte for byte.

mod older;

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::document::{Ambiguous, Document};
use super::edit::{Edit, EditError, apply, escaped};
use super::id::RequestId;
use super::jsonrpc::{Message, MessageError};
use super::mcp::LISTINGS;
use super::modern::meta;
use super::names::{code, method};
use super::scan::{ScanOptions, UniqueKeys};
use super::version::ProtocolVersion;

pub use older::{answer_for_older, question_for_older};

/// What was read once is not refused for its depth when it is read again.
const SCAN: ScanOptions = ScanOptions {
    depth_max: usize::MAX >> 1,
    unique_keys: UniqueKeys::Envelope,
};

/// What a client says of itself, for a server that wants to hear it with each request.
#[derive(Debug, Clone)]
pub struct Speaker<'a> {
    /// What it can do: a JSON object.
    pub capabilities: String,
    /// Who it is: a JSON object.
    pub info: &'a RawValue,
    /// The least severe level of log messages that it wants.
    pub log_level: Option<&'a str>,
}

/// Why a message has no words in the other era; the sentence is fit for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// A part of it cannot be changed.
    #[error("the message cannot be translated: {0}")]
    Edit(#[from] EditError),
    /// It is ambiguous.
    #[error("the message cannot be translated: {0}")]
    Ambiguous(#[from] Ambiguous),
    /// What came of it is no message.
    #[error("the message cannot be translated: {0}")]
    Message(#[from] MessageError),
    /// It says something that the other era has no words for.
    #[error("a result of type {0:?} cannot be said in a protocol version before 2026-07-28")]
    ResultType(String),
    /// It says something that an older version of the same era has no words for.
    #[error("protocol version {version} has no words for this: {what}")]
    Older {
        /// What it says.
        what: &'static str,
        /// The older version.
        version: ProtocolVersion,
    },
}

/// The members of `_meta` that only requests without a handshake have.
const OF_REQUEST: [&str; 4] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
];

/// Returns a request without what only a server without handshakes reads.
///
/// # Errors
/// See [`Untranslatable`].
pub fn request_for_handshake(message: &Message) -> Result<Message, Untranslatable> {
    let mut draft = Draft::of(message);
    draft.remove_from("/params/_meta", &OF_REQUEST)?;
    draft.remove_from("/params", &["inputResponses", "requestState"])?;
    draft.finish()
}

/// Returns a request with what its client said of itself when the session opened.
///
/// # Errors
/// See [`Untranslatable`].
pub fn request_for_modern(message: &Message, speaker: &Speaker<'_>) -> Result<Message, Untranslatable> {
    let mut members = vec![
        (
            meta::PROTOCOL_VERSION,
            Value::from(ProtocolVersion::V2026_07_28.as_str()).to_string(),
        ),
        (meta::CLIENT_CAPABILITIES, speaker.capabilities.clone()),
        (meta::CLIENT_INFO, speaker.info.get().to_owned()),
    ];
    if let Some(level) = speaker.log_level {
        members.push((meta::LOG_LEVEL, Value::from(level).to_string()));
    }
    let mut draft = Draft::of(message);
    draft.add_to(&["/params", "/params/_meta"], &members)?;
    draft.finish()
}

/// Returns a request whose client can do this and nothing else.
///
/// # Errors
/// See [`Untranslatable`].
pub fn with_capabilities(
    message: &Message,
    capabilities: &Map<String, Value>,
) -> Result<Message, Untranslatable> {
    let capabilities = Value::from(capabilities.clone()).to_string();
    let mut draft = Draft::of(message);
    draft.add_to(
        &["/params", "/params/_meta"],
        &[(meta::CLIENT_CAPABILITIES, capabilities)],
    )?;
    draft.finish()
}

/// Returns a request without the wish for log messages, which most do not have.
///
/// # Errors
/// See [`Untranslatable`].
pub fn without_log_level(message: &Message) -> Result<Cow<'_, Message>, Untranslatable> {
    if !message.names_log_level() {
        return Ok(Cow::Borrowed(message));
    }
    let mut draft = Draft::of(message);
    draft.remove_from("/params/_meta", &[meta::LOG_LEVEL])?;
    draft.finish().map(Cow::Owned)
}

/// Returns the answer to a request with `method` as a client without handshakes wants it. `server` is what the server
/// says of itself: a JSON object.
///
/// # Errors
/// See [`Untranslatable`].
pub fn answer_for_modern(
    answer: &Message,
    method: &str,
    server: Option<&str>,
) -> Result<Message, Untranslatable> {
    let mut draft = Draft::of(answer);
    if answer.error().is_some() {
        if draft.text_at("/error/code")? == Some(&code::RESOURCE_NOT_FOUND.to_string()) {
            draft.set("/error/code", code::INVALID_PARAMS.to_string());
        } else if draft.text_at("/error/code")? == Some(&code::URL_ELICITATION_REQUIRED.to_string()) {
            // Where the pages can be asked for, they are; what is left must not be said with this code.
            draft.set("/error/code", code::INTERNAL_ERROR.to_string());
        }
        return draft.finish();
    }
    let mut members = vec![("resultType", "\"complete\"".to_owned())];
    if is_cacheable(method) {
        members.push(("ttlMs", "0".to_owned()));
        members.push(("cacheScope", "\"private\"".to_owned()));
    }
    draft.add_missing_to("/result", &members)?;
    if let Some(server) = server {
        draft.add_to(&["/result/_meta"], &[(meta::SERVER_INFO, server.to_owned())])?;
    }
    draft.finish()
}

/// Returns the answer to a request with `method` as a client with a handshake wants it. One that knows the extension
/// `tasks` reads a task as it came.
///
/// # Errors
/// See [`Untranslatable`]; a result that is neither complete nor a task among them.
pub fn answer_for_handshake(
    answer: &Message,
    method: &str,
    knows_tasks: bool,
) -> Result<Message, Untranslatable> {
    let mut draft = Draft::of(answer);
    if answer.error().is_some() {
        let code = draft.text_at("/error/code")?.map(str::to_owned);
        let is = |known: i32| code.as_deref() == Some(known.to_string().as_str());
        if is(code::INVALID_PARAMS) && method == method::READ && draft.text_at("/error/data/uri")?.is_some() {
            draft.set("/error/code", code::RESOURCE_NOT_FOUND.to_string());
        } else if is(code::MISSING_CLIENT_CAPABILITY) {
            draft.set("/error/code", code::INVALID_REQUEST.to_string());
        } else if is(code::HEADER_MISMATCH) || is(code::UNSUPPORTED_VERSION) {
            // Between the gateway and the server: its client has no part in it.
            draft.set("/error/code", code::INTERNAL_ERROR.to_string());
        }
        return draft.finish();
    }
    match draft.text_at("/result/resultType")? {
        None | Some("\"complete\"") => draft.remove_from("/result", &["resultType"])?,
        Some("\"task\"") if knows_tasks => {}
        Some(other) => return Err(Untranslatable::ResultType(other.trim_matches('"').to_owned())),
    }
    if is_cacheable(method) {
        draft.remove_from("/result", &["ttlMs", "cacheScope"])?;
    }
    draft.remove_from("/result/_meta", &[meta::SERVER_INFO])?;
    draft.finish()
}

/// Returns a notification without the name of the subscription that it came by.
///
/// # Errors
/// See [`Untranslatable`].
pub fn notification_for_handshake(message: &Message) -> Result<Message, Untranslatable> {
    let mut draft = Draft::of(message);
    draft.remove_from("/params/_meta", &[meta::SUBSCRIPTION_ID])?;
    draft.finish()
}

/// Returns a notification with the id of the `subscriptions/listen` that it goes to.
///
/// # Errors
/// See [`Untranslatable`].
pub fn notification_for_listener(
    message: &Message,
    subscription: &RequestId,
) -> Result<Message, Untranslatable> {
    let mut id = Vec::new();
    subscription.write(&mut id);
    let id = String::from_utf8(id).expect("JSON is UTF-8");
    let mut draft = Draft::of(message);
    draft.add_to(&["/params", "/params/_meta"], &[(meta::SUBSCRIPTION_ID, id)])?;
    draft.finish()
}

/// Returns the type of a result (2026-07-28, "Result Types"); one that says none is complete.
pub fn result_type(answer: &Message) -> Option<String> {
    let result = answer.result()?;
    let stated = super::member::string_member(&result, "resultType");
    Some(stated.unwrap_or_else(|| "complete".to_owned()))
}

/// Returns whether a complete result says how long it may be kept (2026-07-28, "Caching").
pub fn is_cacheable(method: &str) -> bool {
    method == method::DISCOVER
        || method == method::READ
        || LISTINGS.iter().any(|listing| listing.method == method)
}

/// Returns whether the answers to a request hold what later versions have more kinds of.
pub fn has_content(method: &str) -> bool {
    matches!(method, method::TOOLS_CALL | method::PROMPTS_GET)
}

/// A message and what is to be changed in it.
struct Draft<'a> {
    message: &'a Message,
    document: Document,
    edits: Vec<Edit>,
}

impl<'a> Draft<'a> {
    fn of(message: &'a Message) -> Self {
        Self {
            document: Document::new(message.bytes().clone()),
            message,
            edits: Vec::new(),
        }
    }

    fn finish(self) -> Result<Message, Untranslatable> {
        if self.edits.is_empty() {
            return Ok(self.message.clone());
        }
        let text = apply(self.message.bytes(), &self.edits)?;
        Ok(Message::parse(text, SCAN)?)
    }

    fn text_at(&self, pointer: &str) -> Result<Option<&str>, Ambiguous> {
        Ok(self.document.at(pointer)?.map(|span| self.document.text(span)))
    }

    fn has(&self, pointer: &str) -> Result<bool, Ambiguous> {
        Ok(self.document.at(pointer)?.is_some())
    }

    fn set(&mut self, pointer: &str, value: String) {
        self.edits.push(Edit {
            pointer: pointer.to_owned(),
            value: Some(value),
        });
    }

    fn remove(&mut self, pointer: String) {
        self.edits.push(Edit { pointer, value: None });
    }

    /// Removes members of the object at a pointer; a `_meta` that is left empty goes with them.
    fn remove_from(&mut self, object: &str, keys: &[&str]) -> Result<(), Untranslatable> {
        let Some(span) = self.document.at(object)? else {
            return Ok(());
        };
        let Some(level) = self.document.level(&span)?.filter(|level| level.is_object()) else {
            return Ok(());
        };
        let mut found = Vec::new();
        for key in keys {
            let pointer = format!("{object}/{}", escaped(key));
            if self.has(&pointer)? {
                found.push(pointer);
            }
        }
        if object.ends_with("/_meta") && !found.is_empty() && found.len() == level.entries().len() {
            self.remove(object.to_owned());
        } else {
            found.into_iter().for_each(|pointer| self.remove(pointer));
        }
        Ok(())
    }

    /// Sets members of the object at the last of these pointers; what is missing on the way to it is made.
    fn add_to(&mut self, path: &[&str], members: &[(&str, String)]) -> Result<(), Untranslatable> {
        let target = path[path.len() - 1];
        let text = object_of(members);
        for (place, pointer) in path.iter().enumerate() {
            if !self.has(pointer)? {
                let inner = path[place + 1..].iter().rev().fold(text, |inner, pointer| {
                    let key = pointer.rsplit('/').next().unwrap_or_default();
                    format!("{{{}:{inner}}}", Value::from(key))
                });
                self.set(pointer, inner);
                return Ok(());
            }
        }
        for (key, value) in members {
            self.set(&format!("{target}/{}", escaped(key)), value.clone());
        }
        Ok(())
    }

    /// Adds members to an object that does not have them.
    fn add_missing_to(&mut self, object: &str, members: &[(&str, String)]) -> Result<(), Untranslatable> {
        for (key, value) in members {
            let pointer = format!("{object}/{}", escaped(key));
            if !self.has(&pointer)? {
                self.set(&pointer, value.clone());
            }
        }
        Ok(())
    }
}

fn object_of(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(*key)))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()), SCAN).expect("valid")
    }

    #[track_caller]
    fn check(result: Result<Message, Untranslatable>, expect: &str) {
        let result = result.expect("translatable");
        assert_eq!(String::from_utf8_lossy(result.bytes()), expect);
    }

    #[test]
    fn requests_for_servers_with_a_handshake() {
        let request = message(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":1,"io.modelcontextprotocol/clientCapabilities":{}},"requestState":"s","inputResponses":{}}}"#,
        );
        check(
            request_for_handshake(&request),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"progressToken":1}}}"#,
        );
        let request = message(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        );
        check(
            request_for_handshake(&request),
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#,
        );
    }

    #[test]
    fn requests_for_servers_without() {
        let info = RawValue::from_string(r#"{"name":"c"}"#.to_owned()).expect("JSON");
        let speaker = Speaker {
            capabilities: r#"{"roots":{}}"#.to_owned(),
            info: &info,
            log_level: Some("info"),
        };
        let says = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/logLevel":"info""#;
        let translated = |text: &str| request_for_modern(&message(text), &speaker);
        check(
            translated(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{{says}}}}}}}"#),
        );
        check(
            translated(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"a"}}"#),
            &format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"cursor":"a","_meta":{{{says}}}}}}}"#
            ),
        );
        check(
            translated(
                r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"progressToken":1}}}"#,
            ),
            &format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"progressToken":1,{says}}}}}}}"#
            ),
        );
    }

    #[test]
    fn answers_for_clients_without_a_handshake() {
        let translated =
            |text: &str, method| answer_for_modern(&message(text), method, Some(r#"{"name":"s"}"#));
        check(
            translated(
                r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
                method::TOOLS_LIST,
            ),
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}}"#,
        );
        check(
            translated(
                r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"_meta":{"x":1}}}"#,
                method::TOOLS_CALL,
            ),
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"_meta":{"x":1,"io.modelcontextprotocol/serverInfo":{"name":"s"}},"resultType":"complete"}}"#,
        );
        check(
            translated(
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"m","data":{"uri":"u"}}}"#,
                method::READ,
            ),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m","data":{"uri":"u"}}}"#,
        );
    }

    #[test]
    fn notifications_change_hands() {
        let of_server = message(
            r#"{"jsonrpc":"2.0","method":"n","params":{"uri":"u","_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#,
        );
        let stripped = notification_for_handshake(&of_server).expect("translatable");
        check(
            Ok(stripped.clone()),
            r#"{"jsonrpc":"2.0","method":"n","params":{"uri":"u"}}"#,
        );
        check(
            notification_for_listener(&stripped, &RequestId::String("a".into())),
            r#"{"jsonrpc":"2.0","method":"n","params":{"uri":"u","_meta":{"io.modelcontextprotocol/subscriptionId":"a"}}}"#,
        );
        check(
            notification_for_listener(&message(r#"{"jsonrpc":"2.0","method":"n"}"#), &1.into()),
            r#"{"jsonrpc":"2.0","method":"n","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}"#,
        );
    }

    #[test]
    fn answers_for_clients_with_one() {
        let translated = |text: &str, method| answer_for_handshake(&message(text), method, false);
        check(
            translated(
                r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[],"ttlMs":1,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}}"#,
                method::TOOLS_LIST,
            ),
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#,
        );
        check(
            translated(
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m","data":{"uri":"u"}}}"#,
                method::READ,
            ),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"m","data":{"uri":"u"}}}"#,
        );
        let task = message(r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"t"}}"#);
        assert_eq!(
            answer_for_handshake(&task, method::TOOLS_CALL, false).map(drop),
            Err(Untranslatable::ResultType("task".to_owned()))
        );
        check(
            answer_for_handshake(&task, method::TOOLS_CALL, true),
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task","taskId":"t"}}"#,
        );
    }
}
