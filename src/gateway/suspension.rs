//! A server with a handshake that asks a client without one (2026-07-28, "Multi Round-Trip Requests").
//!
//! The server asks while it works on a call and waits; the client hears of it in the answer, which is not the last one,
//! and calls again with what it says. In between the call is *suspended*: its session and its process stay, and what names
//! it to the client is sealed, so that nobody else, and nothing but the same request, can go on with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::conversation::Session;
use super::error::GatewayError;
use super::exchange::Question;
use crate::config::RequestConfig;
use crate::protocol::Message;
use crate::registry::Target;
use crate::session::Caller;

/// What states of a gateway begin with. Its store's own name follows: there may be a gateway behind this one.
const MARK: &str = "portcullis.";
const MARK_DIGITS: usize = 12;
/// Members of the parameters that a client changes when it comes again.
const CHANGING: [&str; 3] = ["_meta", "inputResponses", "requestState"];

/// The calls that wait for their clients.
pub(super) struct Suspended {
    /// The key is as old as this store: what it sealed means nothing to another one.
    key: LessSafeKey,
    /// What its states begin with, so that they are not taken for those of a server.
    mark: String,
    max: usize,
    per_principal_max: usize,
    timeout: Duration,
    /// A std mutex: held for look-ups.
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    by_id: HashMap<Uuid, Call>,
    /// Whether none waits any more.
    is_closed: bool,
}

struct Call {
    session: Arc<Session>,
    question: Question,
    until: Instant,
}

impl Call {
    /// Returns its session and what its client asked.
    fn what(&self) -> (Arc<Session>, Question) {
        (self.session.clone(), self.question.clone())
    }
}

impl std::fmt::Debug for Suspended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suspended")
            .field("calls", &self.len())
            .finish_non_exhaustive()
    }
}

/// Why a call cannot be gone on with; the text is what the client reads.
fn unusable(why: &str) -> GatewayError {
    GatewayError::InvalidParams(format!("requestState: {why}; make the request anew, without it"))
}

/// Returns why a call cannot be gone on with whose state says nothing to this gateway.
fn foreign() -> GatewayError {
    unusable("it was not made by this gateway for this client and method, or the gateway has been restarted")
}

/// Returns why a call cannot be gone on with that is not there.
fn gone() -> GatewayError {
    unusable("the call has been gone on with, or has ended")
}

/// Refuses a request that goes on with a call, at a server which has never asked for that: nobody else has made its state.
pub(super) fn check_none(request: &Message) -> Result<(), GatewayError> {
    match request.request_state() {
        Some(_) => Err(foreign()),
        None => Ok(()),
    }
}

impl Suspended {
    pub(super) fn new(limits: &RequestConfig) -> Self {
        let mut key = [0; 32];
        getrandom::fill(&mut key).expect("the system has random numbers");
        Self {
            key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("the key is long enough")),
            mark: format!("{MARK}{}.", &Uuid::new_v4().simple().to_string()[..MARK_DIGITS]),
            max: limits.suspended_max,
            per_principal_max: limits.suspended_per_principal_max,
            timeout: limits.suspended_timeout,
            calls: Mutex::default(),
        }
    }

    /// Returns how many calls wait.
    pub(super) fn len(&self) -> usize {
        self.calls().by_id.len()
    }

    /// Has a call wait for its client; returns what names it to the client, and to nobody else. The caller holds the place
    /// of the session's suspension: whoever ends the session comes after it, or before.
    ///
    /// # Errors
    /// Too many wait, or nobody could go on with it.
    pub(super) fn admit(&self, session: &Arc<Session>, question: &Question) -> Result<String, &'static str> {
        let mut calls = self.calls();
        if calls.is_closed {
            return Err("the gateway is stopping");
        }
        if session.has_ended() {
            return Err("the session has ended");
        }
        if calls.by_id.len() >= self.max {
            return Err("too many calls wait for their clients (requests.suspended-max)");
        }
        let principal = session.principal();
        let all = calls.by_id.values();
        let its = all.filter(|call| call.session.principal() == principal);
        if its.count() >= self.per_principal_max {
            return Err("too many calls of this client wait (requests.suspended-per-principal-max)");
        }
        let id = Uuid::new_v4();
        let call = Call {
            session: session.clone(),
            question: question.clone(),
            until: Instant::now() + self.timeout,
        };
        calls.by_id.insert(id, call);
        drop(calls);
        Ok(self.seal(id, session.caller(), &question.method))
    }

    /// Returns whether a call of a session waits for its client to come again.
    pub(super) fn holds(&self, session: &Arc<Session>) -> bool {
        let calls = self.calls();
        let mut sessions = calls.by_id.values().map(|call| &call.session);
        sessions.any(|its| Arc::ptr_eq(its, session))
    }

    /// Takes out the call of a session.
    pub(super) fn forget(&self, session: &Arc<Session>) {
        let mut calls = self.calls();
        calls.by_id.retain(|_, call| !Arc::ptr_eq(&call.session, session));
    }

    /// Takes out the call that a request goes on with, and begins the request's stay in its session, which is returned
    /// with the number of the stay; `None` if it goes on with none of the gateway's.
    ///
    /// # Errors
    /// It is not the request that it was, or not its client's, or it has been gone on with, or has ended.
    pub(super) fn take(
        &self,
        caller: &Caller,
        target: &Target,
        request: &Message,
    ) -> Result<Option<(Arc<Session>, u64)>, GatewayError> {
        let state = request.request_state();
        let Some(sealed) = state.as_deref().and_then(|state| state.strip_prefix(&self.mark)) else {
            return Ok(None);
        };
        let question = &Question::of(request);
        let id = self.open(sealed, caller, &question.method)?;
        // The parameters may be long: they are not compared under the lock.
        let found = self.calls().by_id.get(&id).map(Call::what);
        let (session, first) = found.ok_or_else(gone)?;
        if !target.leads_to(session.attachment().server()) {
            return Err(unusable("it belongs to a call of another server"));
        }
        if asked(&first).is_none_or(|first| Some(first) != asked(question)) {
            return Err(unusable("the request is not the one that it was"));
        }
        let mut calls = self.calls();
        calls.by_id.remove(&id).ok_or_else(gone)?;
        // Whoever looks whether the call waits sees that it does, or that somebody else has the session now.
        let stay = session.attachment().begin_visit();
        drop(calls);
        match session.has_ended() {
            true => Err(gone()),
            false => Ok(Some((session, stay))),
        }
    }

    /// Takes out the calls whose clients have not come again in time.
    pub(super) fn remove_late(&self, now: Instant) -> Vec<Arc<Session>> {
        let mut calls = self.calls();
        let late = calls
            .by_id
            .extract_if(|_, call| call.until <= now || call.session.has_ended());
        late.map(|(_, call)| call.session).collect()
    }

    /// Takes out all calls; from now on none waits.
    pub(super) fn close(&self) -> Vec<Arc<Session>> {
        let mut calls = self.calls();
        calls.is_closed = true;
        calls.by_id.drain().map(|(_, call)| call.session).collect()
    }

    fn seal(&self, id: Uuid, caller: &Caller, method: &str) -> String {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).expect("the system has random numbers");
        let until = (SystemTime::now() + self.timeout)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let mut sealed = id.as_bytes().to_vec();
        sealed.extend_from_slice(&until.to_be_bytes());
        let binding = Aad::from(binding(caller, method));
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce_used, binding, &mut sealed)
            .expect("so few bytes can be sealed");
        let bytes = [&nonce[..], &sealed].concat();
        format!("{}{}", self.mark, BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    fn open(&self, sealed: &str, caller: &Caller, method: &str) -> Result<Uuid, GatewayError> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(sealed).map_err(|_| foreign())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(foreign)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let binding = Aad::from(binding(caller, method));
        let plain = self
            .key
            .open_in_place(nonce, binding, &mut sealed)
            .map_err(|_| foreign())?;
        let (id, until) = plain.split_first_chunk::<16>().ok_or_else(foreign)?;
        let until = <[u8; 8]>::try_from(until).map_err(|_| foreign())?;
        let until = u64::from_be_bytes(until);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if now.as_secs() > until {
            return Err(unusable("it has expired"));
        }
        Ok(Uuid::from_bytes(*id))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().expect("no holder panics")
    }
}

/// Returns whose a state is: it opens for nobody else.
fn binding(caller: &Caller, method: &str) -> String {
    serde_json::json!([caller.principal, caller.mode, method]).to_string()
}

/// Returns what a request asks, compared as JSON: whatever is the same value, however it is written. `None` if it holds
/// what cannot be compared, such as a number without bounds.
fn asked(question: &Question) -> Option<Map<String, Value>> {
    let mut params: Map<String, Value> = serde_json::from_slice(&question.params).ok()?;
    CHANGING.iter().for_each(|key| drop(params.shift_remove(*key)));
    Some(params)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn limits() -> RequestConfig {
        RequestConfig {
            timeout: Duration::from_secs(1),
            timeout_max: Duration::from_secs(1),
            in_flight_max: 1,
            depth_max: 128,
            batch_max: 1,
            suspended_max: 1,
            suspended_per_principal_max: 1,
            suspended_timeout: Duration::from_secs(60),
        }
    }

    fn caller(principal: &str) -> Caller {
        Caller {
            principal: principal.into(),
            mode: None,
        }
    }

    #[test]
    fn a_state_opens_for_its_client_its_method_and_its_store_alone() {
        let store = Suspended::new(&limits());
        let id = Uuid::new_v4();
        let state = store.seal(id, &caller("alice"), "tools/call");
        let sealed = state.strip_prefix(&store.mark).expect("it is marked");
        let open = |store: &Suspended, principal, method| store.open(sealed, &caller(principal), method).ok();
        assert_eq!(open(&store, "alice", "tools/call"), Some(id));
        assert_eq!(open(&store, "bob", "tools/call"), None);
        assert_eq!(open(&store, "alice", "prompts/get"), None);
        assert_eq!(
            open(&Suspended::new(&limits()), "alice", "tools/call"),
            None,
            "restarted"
        );
        for place in 0..sealed.len() {
            let mut tampered = sealed.as_bytes().to_vec();
            tampered[place] = if tampered[place] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).expect("ASCII");
            assert!(
                store.open(&tampered, &caller("alice"), "tools/call").is_err(),
                "{place}"
            );
        }
    }

    #[test]
    fn requests_are_compared_as_values() {
        let question = |params: &'static str| Question {
            method: "tools/call".to_owned(),
            params: Bytes::from_static(params.as_bytes()),
            log_level: None,
        };
        let first = asked(&question(
            r#"{"name":"a","arguments":{"x":1,"y":"ä"},"_meta":{"n":1}}"#,
        ));
        let again =
            r#"{"requestState":"s", "arguments":{"y":"\u00e4", "x":1},"name":"a","inputResponses":{}}"#;
        assert_eq!(first, asked(&question(again)));
        assert_ne!(
            first,
            asked(&question(r#"{"name":"a","arguments":{"x":"1","y":"ä"}}"#))
        );
        assert_eq!(asked(&question(r#"{"name":"a","arguments":{"x":1e999}}"#)), None);
    }
}
