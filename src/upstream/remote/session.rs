//! The session with a remote server of the handshake era: its id, its version, and what is to be said again when
//! another one has to take its place.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use reqwest::header::{HeaderMap, HeaderValue};

use crate::protocol::mcp::InitializeResult;
use crate::protocol::names::{header, method};
use crate::protocol::{Message, ProtocolVersion};

/// Most subscriptions that are made again in a new session, and most bytes of one; what is beyond is not.
const SUBSCRIPTIONS_MAX: usize = 4096;
const SUBSCRIPTION_BYTES: usize = 4096;

/// A std mutex: held for look-ups, never across an await.
#[derive(Debug, Default)]
pub(super) struct Session(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    id: Option<HeaderValue>,
    version: Option<ProtocolVersion>,
    /// How many sessions there were before this one.
    epoch: u64,
    initialize: Option<Message>,
    level: Option<Message>,
    subscriptions: BTreeMap<String, Message>,
    result: Option<InitializeResult>,
}

/// One of the sessions, as a request was made in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    number: u64,
    /// Whether the server gave it an id: one without cannot be unknown.
    pub(super) has_id: bool,
}

impl Session {
    /// Remembers what a new session would have to be told, of a request that is about to be sent.
    pub(super) fn note(&self, message: &Message) {
        let mut state = self.lock();
        match &*message.method() {
            method::INITIALIZE => state.initialize = Some(message.clone()),
            method::SET_LEVEL => state.level = Some(message.clone()),
            method::SUBSCRIBE if message.bytes().len() <= SUBSCRIPTION_BYTES => {
                if let Some(uri) = message.uri()
                    && state.subscriptions.len() < SUBSCRIPTIONS_MAX
                {
                    state.subscriptions.insert(uri.into_owned(), message.clone());
                }
            }
            method::UNSUBSCRIBE => {
                if let Some(uri) = message.uri() {
                    state.subscriptions.remove(&*uri);
                }
            }
            _ => {}
        }
    }

    /// Returns whether a message is the answer to `initialize`, and then remembers what it says.
    pub(super) fn note_answer(&self, message: &Message) {
        let mut state = self.lock();
        let asked = state.initialize.as_ref().and_then(Message::id);
        if state.result.is_some() || asked.is_none() || message.id() != asked {
            return;
        }
        if let Some(Ok(result)) = message.result().map(|result| InitializeResult::parse(&result)) {
            state.version = Some(result.version());
            state.result = Some(result);
        }
    }

    /// Takes the id that the server gave with the answer to `initialize`.
    pub(super) fn set_id(&self, id: Option<HeaderValue>) {
        self.lock().id = id;
    }

    /// Adds the headers of the session, and returns which one that is.
    pub(super) fn write(&self, headers: &mut HeaderMap) -> Epoch {
        let state = self.lock();
        write_headers(state.id.as_ref(), state.version, headers);
        Epoch {
            number: state.epoch,
            has_id: state.id.is_some(),
        }
    }

    /// Returns whether this is still the session.
    pub(super) fn is_current(&self, epoch: Epoch) -> bool {
        self.lock().epoch == epoch.number
    }

    /// Returns the request that opened it.
    pub(super) fn initialize(&self) -> Option<Message> {
        self.lock().initialize.clone()
    }

    /// Returns the version that was agreed on.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.lock().version
    }

    /// Returns what a new session is to be told besides: the log level, and the subscriptions.
    pub(super) fn settings(&self) -> Vec<Message> {
        let state = self.lock();
        state
            .level
            .iter()
            .chain(state.subscriptions.values())
            .cloned()
            .collect()
    }

    /// Returns whether the server announced that it tells when what a capability lists has changed.
    pub(super) fn tells_changes_of(&self, capability: &str) -> bool {
        let state = self.lock();
        let capability = state
            .result
            .as_ref()
            .and_then(|result| result.capability(capability));
        capability.and_then(|capability| capability.get("listChanged")) == Some(&true.into())
    }

    /// Puts another session in the place of this one.
    pub(super) fn replace(&self, id: Option<HeaderValue>) {
        let mut state = self.lock();
        state.id = id;
        state.epoch += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no holder panics")
    }
}

/// Adds the headers of a session.
pub(super) fn write_headers(
    id: Option<&HeaderValue>,
    version: Option<ProtocolVersion>,
    headers: &mut HeaderMap,
) {
    if let Some(id) = id {
        headers.insert(header::SESSION_ID, id.clone());
    }
    if let Some(version) = version {
        headers.insert(
            header::PROTOCOL_VERSION,
            HeaderValue::from_static(version.as_str()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::SCAN;

    fn request(method: &str, params: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        Message::parse(text.into(), SCAN).expect("a message")
    }

    #[test]
    fn remembers_what_a_new_session_is_to_be_told_within_bounds() {
        let session = Session::default();
        session.note(&request("logging/setLevel", r#"{"level":"info"}"#));
        session.note(&request("logging/setLevel", r#"{"level":"error"}"#));
        let subscribe =
            |uri: &str| session.note(&request("resources/subscribe", &format!(r#"{{"uri":"{uri}"}}"#)));
        subscribe(&"x".repeat(SUBSCRIPTION_BYTES));
        for number in 0..=SUBSCRIPTIONS_MAX {
            subscribe(&format!("test://{number:06}"));
        }
        assert_eq!(session.settings().len(), 1 + SUBSCRIPTIONS_MAX);
        session.note(&request("resources/unsubscribe", r#"{"uri":"test://000000"}"#));
        session.note(&request("tools/call", r#"{"uri":"test://000001"}"#));
        let settings = session.settings();
        assert_eq!(settings.len(), SUBSCRIPTIONS_MAX);
        assert!(
            settings[0].bytes().ends_with(br#"{"level":"error"}}"#),
            "the last level alone"
        );
        assert_eq!(settings[1].uri().as_deref(), Some("test://000001"));
    }

    #[test]
    fn a_session_without_an_id_names_none_and_a_replaced_one_is_another() {
        let session = Session::default();
        let mut headers = HeaderMap::new();
        let first = session.write(&mut headers);
        assert!(headers.is_empty() && !first.has_id && session.is_current(first));
        session.replace(Some(HeaderValue::from_static("s2")));
        let second = session.write(&mut headers);
        assert!(!session.is_current(first) && session.is_current(second) && second.has_id);
        assert_eq!(headers[header::SESSION_ID], "s2");
    }
}
