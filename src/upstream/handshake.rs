//! How a conversation with a server opens: `initialize` (2025-11-25, "Lifecycle") or `server/discover` (2026-07-28,
//! "Discovery"). The one place upstream that asks for the era.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::to_raw_value;
use tokio::time::timeout;

use super::connection::Connection;
use super::door::Door;
use super::era::Eras;
use super::error::{CallError, UpstreamError};
use crate::protocol::mcp::InitializeParams;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Era, ProtocolVersion, ServerFacts, reply};

/// What an instance opens a conversation with.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What the server is told where there is a handshake.
    pub facts: Arc<InitializeParams>,
    /// The era in which those speak that the instance is for.
    pub wanted: Era,
    /// What is known of the server.
    pub eras: Arc<Eras>,
    /// The way to it.
    pub door: Door,
    /// How long `server/discover` may take before `initialize` is sent as well: there are servers that do not answer
    /// what they do not know.
    pub probe_timeout: Duration,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// Opens the conversation with a new generation and sets again what its sessions had set.
///
/// # Errors
/// A sentence for the operator: the server answered with an error, with nonsense, or not in time.
pub(super) async fn shake_hands(connection: Arc<Connection>, opening: Opening) -> Result<(), String> {
    let facts = match timeout(opening.timeout, opening.agree(&connection)).await {
        Ok(agreed) => agreed?,
        Err(_) => {
            return Err(format!(
                "no handshake: {}",
                UpstreamError::Timeout(opening.timeout)
            ));
        }
    };
    let era = facts.era();
    opening.eras.note(era, true);
    connection.set_facts(facts);
    if era == Era::Handshake {
        connection.send(|out| reply::write_notification(method::INITIALIZED, None, out));
    }
    connection.inbound().ready(&connection);
    Ok(())
}

/// Why there is no conversation in one era.
enum Failed {
    /// The server is there, and does not speak it.
    Refused(String),
    /// The server has gone, or the gateway has ended it.
    Gone(String),
}

impl Failed {
    fn text(self) -> String {
        match self {
            Self::Refused(text) | Self::Gone(text) => text,
        }
    }
}

impl Opening {
    /// Notes that a generation has ended by itself before there was a conversation.
    pub(super) fn ended(&self, connection: &Connection) {
        let is_probed = connection.is_probed.load(Ordering::Relaxed);
        let knows_one = || self.eras.second_after(self.eras.first_for(self.wanted)).is_none();
        if is_probed && self.door.may_close() {
            // There are servers that end at what they do not know.
            self.eras.note(Era::Modern, false);
        } else if !is_probed && knows_one() {
            // What was known is wrong, or what is known may be wrong: the next start asks again.
            self.eras.forget();
        }
    }

    async fn agree(&self, connection: &Connection) -> Result<ServerFacts, String> {
        let first = self.eras.first_for(self.wanted);
        let second = self.eras.second_after(first);
        let agreed = match (first, second) {
            (Era::Handshake, None) => self.initialize(connection).await,
            (Era::Modern, None) => self.discover(connection).await,
            (Era::Handshake, Some(_)) => match self.initialize(connection).await {
                Err(Failed::Refused(why)) => {
                    let found = timeout(self.probe_timeout, self.discover(connection)).await;
                    let silent = |_| Err(Failed::Refused("it does not answer server/discover".to_owned()));
                    self.second(Era::Handshake, found.unwrap_or_else(silent), why)
                }
                first => first,
            },
            (Era::Modern, Some(_)) => self.probe(connection).await,
        };
        agreed.map_err(Failed::text)
    }

    /// Asks whether the server is modern, and shakes hands if it is not, or does not say so in time. Whoever has said so
    /// before gets more of it.
    async fn probe(&self, connection: &Connection) -> Result<ServerFacts, Failed> {
        let limit = match self.eras.speaks(Era::Modern) {
            Some(true) => self.timeout / 2,
            _ => self.probe_timeout,
        };
        let mut discovering = pin!(self.discover(connection));
        connection.is_probed.store(true, Ordering::Relaxed);
        let found = timeout(limit, discovering.as_mut()).await;
        if !matches!(found, Ok(Err(Failed::Gone(_)))) {
            connection.is_probed.store(false, Ordering::Relaxed);
        }
        match found {
            Ok(Err(Failed::Refused(why))) => {
                let initialized = self.initialize(connection).await;
                self.second(Era::Modern, initialized, why)
            }
            Ok(decided) => decided,
            Err(_) => self.ask_for_both(connection, discovering).await,
        }
    }

    /// Shakes hands with a server that has not answered `server/discover` yet. It may know no such thing; or it was only slow
    /// to start, and then it answers both. What it says to the handshake decides: there are servers of both eras that keep
    /// to it once they have shaken hands, and such as refuse to once they have been discovered.
    async fn ask_for_both(
        &self,
        connection: &Connection,
        mut discovering: Pin<&mut impl Future<Output = Result<ServerFacts, Failed>>>,
    ) -> Result<ServerFacts, Failed> {
        let mut initializing = pin!(self.initialize(connection));
        tokio::select! {
            biased;
            found = discovering.as_mut() => match found {
                Ok(facts) => match timeout(self.probe_timeout, initializing).await {
                    Ok(Ok(initialized)) => {
                        self.eras.note(Era::Modern, true);
                        Ok(initialized)
                    }
                    Ok(Err(gone @ Failed::Gone(_))) => Err(gone),
                    Ok(Err(Failed::Refused(_))) | Err(_) => Ok(facts),
                },
                Err(Failed::Refused(why)) => {
                    let initialized = initializing.await;
                    self.second(Era::Modern, initialized, why)
                }
                gone => gone,
            },
            initialized = initializing.as_mut() => match initialized {
                Ok(facts) => {
                    self.eras.note(Era::Modern, false);
                    Ok(facts)
                }
                Err(Failed::Refused(why)) => {
                    let found = discovering.await;
                    self.second(Era::Handshake, found, why)
                }
                gone => gone,
            },
        }
    }

    /// Returns what came of the second try, after the first was refused.
    fn second(
        &self,
        refused: Era,
        found: Result<ServerFacts, Failed>,
        why: String,
    ) -> Result<ServerFacts, Failed> {
        match found {
            Ok(facts) => {
                self.eras.note(refused, false);
                Ok(facts)
            }
            Err(failed) => Err(Failed::Refused(format!("{why}; {}", failed.text()))),
        }
    }

    async fn initialize(&self, connection: &Connection) -> Result<ServerFacts, Failed> {
        let params = to_raw_value(&*self.facts).expect("plain data becomes JSON");
        let result = connection
            .open(Era::Handshake, method::INITIALIZE, Some(&params), self.timeout)
            .await;
        let result = result.map_err(|error| failed("initialize", error))?;
        ServerFacts::of_initialize(&result).map_err(Failed::Refused)
    }

    async fn discover(&self, connection: &Connection) -> Result<ServerFacts, Failed> {
        let discover = || connection.open(Era::Modern, method::DISCOVER, None, self.timeout);
        let mut result = discover().await;
        if let Err(CallError::Refused(error)) = &result
            && names_a_version_of_ours(error)
        {
            result = discover().await;
        }
        let result = result.map_err(|error| failed("discover", error))?;
        ServerFacts::of_discovery(&result).map_err(Failed::Refused)
    }
}

/// Returns whether a server that did not take the version of a request names one that the gateway speaks: then it is
/// asked in that one, of which there is but one so far.
fn names_a_version_of_ours(error: &ErrorObject) -> bool {
    let named = error
        .data
        .as_ref()
        .and_then(|data| data.get("supported")?.as_array());
    let is_ours = |version: &Value| version.as_str().and_then(ProtocolVersion::parse_modern).is_some();
    error.code == code::UNSUPPORTED_VERSION && named.is_some_and(|named| named.iter().any(is_ours))
}

fn failed(what: &str, error: CallError) -> Failed {
    match error {
        CallError::Refused(error) => Failed::Refused(format!(
            "it refused to {what}: {} ({})",
            error.message, error.code
        )),
        CallError::Upstream(error @ UpstreamError::Timeout(_)) => {
            Failed::Refused(format!("no handshake: {error}"))
        }
        CallError::Upstream(error) => Failed::Gone(format!("no handshake: {error}")),
    }
}
