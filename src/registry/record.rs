//! What the registry says of a server: a snapshot, in the shape of the public API.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;

use super::catalog::CatalogView;
use super::events::milliseconds;
use crate::config::ServerName;
use crate::upstream::{Connection, Phase, UpstreamState};

/// Whether a server may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServerStatus {
    /// Requests are served.
    Enabled,
    /// Requests are refused and nothing runs.
    Disabled,
}

/// Whether a server can be reached, over all its instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// At least one instance is ready.
    Connected,
    /// None is; the next request starts one.
    Disconnected,
    /// None is, because the server failed.
    Error,
}

impl ConnectionState {
    /// Returns the state of a server with instances in these phases.
    pub fn of(phases: impl IntoIterator<Item = Phase>) -> Self {
        let mut state = Self::Disconnected;
        for phase in phases {
            match phase {
                Phase::Ready => return Self::Connected,
                Phase::Backoff | Phase::Failed => state = Self::Error,
                _ => {}
            }
        }
        state
    }
}

/// A server, as `GET /admin/v1/servers/{name}` shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerRecord {
    /// Its unique name.
    pub name: ServerName,
    /// Its name for people.
    pub display_name: String,
    /// Its version: as configured, or as the server says.
    pub version: Option<String>,
    /// Where clients reach it.
    pub path: String,
    /// Whether it may be used.
    pub status: ServerStatus,
    /// Whether it can be reached.
    pub connection_state: ConnectionState,
    /// The phase of its first instance that is ready, else of its first.
    pub phase: &'static str,
    /// What it offers, as it listed it itself.
    pub capabilities: CatalogView,
    /// The process of that instance.
    pub pid: Option<u32>,
    /// Starts, over all instances.
    pub generation: u64,
    /// Starts after a failure, over all instances.
    pub restarts: u64,
    /// Seconds since that instance became ready.
    pub uptime_seconds: Option<u64>,
    /// How the last process ended.
    pub last_exit: Option<String>,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// Sessions that are open.
    pub sessions: usize,
    /// `config` or `api`.
    pub source: &'static str,
    /// Each instance.
    pub instances: Vec<InstanceRecord>,
    /// Its configuration; values that came from variables are shown as the variables.
    pub config: Value,
}

/// One instance of a server.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRecord {
    /// Its number, unique in the gateway.
    pub instance: u64,
    /// Where it is in its life.
    pub phase: &'static str,
    /// The version of the protocol that is spoken with it, while it is ready.
    pub protocol_version: Option<&'static str>,
    /// Its process.
    pub pid: Option<u32>,
    /// How often its process was started.
    pub generation: u64,
    /// How often after a failure.
    pub restarts: u64,
    /// Sessions that hold it.
    pub leases: usize,
    /// Requests that wait for an answer.
    pub in_flight: usize,
    /// When it became ready, in milliseconds since 1970.
    pub ready_since: Option<u64>,
    /// How the last process ended.
    pub last_exit: Option<String>,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// Lines on stdout that were no message.
    pub garbage_lines: u64,
    /// Answers that nobody waited for.
    pub unknown_answers: u64,
    /// Messages over `line-max`.
    pub oversized_messages: u64,
}

/// Returns the seconds since a time.
pub(super) fn seconds_since(time: SystemTime) -> u64 {
    time.elapsed().unwrap_or_default().as_secs()
}

/// Returns what the API shows of an instance's state.
pub(super) fn instance_record(upstream: &crate::upstream::Upstream, state: &UpstreamState) -> InstanceRecord {
    use std::sync::atomic::Ordering::Relaxed;
    let counts = upstream.counts();
    let facts = state.connection.as_deref().and_then(Connection::facts);
    InstanceRecord {
        instance: upstream.instance(),
        phase: state.phase.as_str(),
        protocol_version: facts.map(|facts| facts.version().as_str()),
        pid: state.pid,
        generation: state.generation,
        restarts: state.restarts,
        leases: upstream.usage().leases(),
        in_flight: upstream.in_flight(),
        ready_since: state.ready_since.map(milliseconds),
        last_exit: state.last_exit.as_deref().map(str::to_owned),
        last_error: state.last_error.as_deref().map(str::to_owned),
        garbage_lines: counts.garbage.load(Relaxed),
        unknown_answers: counts.unknown_answers.load(Relaxed),
        oversized_messages: counts.oversized.load(Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ready_instance_makes_a_server_connected() {
        let check =
            |phases: &[Phase], expect| assert_eq!(ConnectionState::of(phases.iter().copied()), expect);
        check(&[], ConnectionState::Disconnected);
        check(&[Phase::Stopped, Phase::Starting], ConnectionState::Disconnected);
        check(&[Phase::Failed, Phase::Stopped], ConnectionState::Error);
        check(&[Phase::Backoff, Phase::Ready], ConnectionState::Connected);
    }
}
