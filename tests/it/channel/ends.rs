//! A channel of each kind to the same mock server, so that a scene is played on all of them.

use crate::support::{Channel, Gateway};

pub(super) const LATEST: &str = "2025-11-25";

/// Which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Socket,
    Pipes,
    /// Pipes to a program in front of the gateway, with the same limits.
    Bridge,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Socket, Self::Pipes, Self::Bridge];

    /// Returns a channel to the server `mock` of a gateway; to one with its configuration, where there are pipes.
    pub(super) async fn connect(self, gateway: &Gateway) -> Channel {
        let configuration = gateway.directory().join("portcullis.toml");
        match self {
            Self::Socket => Channel::socket(gateway, "/mcp/mock").await,
            Self::Pipes => Channel::pipes(&configuration, &["--server", "mock"]),
            Self::Bridge => Channel::pipes(&configuration, &["--url", &url(gateway)]),
        }
    }
}

/// Returns where the server `mock` is.
pub(super) fn url(gateway: &Gateway) -> String {
    format!("http://{}/mcp/mock", gateway.address())
}

/// Starts a gateway whose mock belongs to each session alone.
pub(super) fn gateway() -> Gateway {
    gateway_with("", "")
}

/// The same with keys before the server's table and in it.
pub(super) fn gateway_with(top: &str, more: &str) -> Gateway {
    Gateway::start(&format!(
        "{top}\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\nbackoff-initial = \"10ms\"\n{more}\n"
    ))
}

/// Starts a gateway whose mock speaks `era`, with these further keys in its table; who shares it is left to the gateway.
pub(super) fn of_era(era: &str, more: &str) -> Gateway {
    Gateway::start(&format!(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\", \"--era\", \"{era}\"]\n{more}\n"
    ))
}
