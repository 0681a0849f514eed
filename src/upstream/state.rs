//! What others see of an instance: its phase, and what brought it there.
//!
//! Write discipline: only the supervisor publishes, one value at a time, in the order in which things happened.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::connection::Connection;
use crate::config::ServerName;

/// Where an instance is in its life.
///
/// ```text
/// Stopped --request/autostart--> Starting --handshake--> Ready --idle/stop--> Draining --exit--> Stopped
///                                  |  ^                    |
///                           failed |  | backoff over       | exited
///                                  v  |                    v
///                                Backoff <-----------------+   too often --> Failed --operator, or request after cool-down
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No process; the next request starts one.
    Stopped,
    /// The process is being started or shakes hands.
    Starting,
    /// Requests are answered.
    Ready,
    /// The process is being ended.
    Draining,
    /// It failed and starts again when the time has come.
    Backoff,
    /// It failed too often, or in a way that a retry does not mend.
    Failed,
    /// The instance is gone for good.
    Closed,
}

impl Phase {
    /// Returns the name used in logs, events and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A snapshot of an instance.
#[derive(Debug, Clone)]
pub struct UpstreamState {
    /// Where it is.
    pub phase: Phase,
    /// How often a process was started; grows at each start.
    pub generation: u64,
    /// The process, while there is one.
    pub pid: Option<u32>,
    /// Starts that followed a failure.
    pub restarts: u64,
    /// How often it was stopped by order; whoever waited for it then waits no longer.
    pub stops: u64,
    /// When it became ready; `None` in every other phase.
    pub ready_since: Option<SystemTime>,
    /// How the last process ended.
    pub last_exit: Option<Arc<str>>,
    /// Why it is failed or in back-off, or what last went wrong.
    pub last_error: Option<Arc<str>>,
    /// The same in words for clients: without paths and command lines.
    pub client_reason: Option<Arc<str>>,
    /// When a failed instance may be started by a request again.
    pub retry_at: Option<Instant>,
    /// The way to the process; only while ready.
    pub connection: Option<Arc<Connection>>,
}

impl UpstreamState {
    pub(super) fn stopped() -> Self {
        Self {
            phase: Phase::Stopped,
            generation: 0,
            pid: None,
            restarts: 0,
            stops: 0,
            ready_since: None,
            last_exit: None,
            last_error: None,
            client_reason: None,
            retry_at: None,
            connection: None,
        }
    }

    /// Returns why requests cannot be served, in words for a client.
    pub fn reason(&self) -> Arc<str> {
        self.client_reason
            .clone()
            .unwrap_or_else(|| self.phase.as_str().into())
    }
}

/// A step of an instance from one phase to another, as told to observers.
#[derive(Debug, Clone)]
pub struct StateChange {
    /// The server it belongs to.
    pub server: ServerName,
    /// Which instance of the server.
    pub instance: u64,
    /// The phase it left.
    pub from: Phase,
    /// What it is now.
    pub state: UpstreamState,
    /// Who or what caused it: `request`, `operator`, `idle`, `exit status 1`, …
    pub cause: Arc<str>,
}

/// Who is told of each step, synchronously and in order. Never blocks.
pub type Observer = Arc<dyn Fn(&StateChange) + Send + Sync>;
