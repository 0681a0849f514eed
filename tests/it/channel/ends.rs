//! A channel of each kind to the same mock server, so that a scene is played on all of them.

use std::time::Duration;

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

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

/// Sends such messages, without reading, until the gateway reads no more either; returns how many are through. The one
/// after that is cut off: it is sent to its end while answers are read.
pub(super) async fn flood(
    gateway: &Gateway,
    channel: &mut Channel,
    message: impl Fn(usize) -> String,
) -> usize {
    let mut sent = 0;
    loop {
        let sending = channel.as_socket().send(Message::text(message(sent)));
        // That nothing goes on is known by waiting alone.
        if tokio::time::timeout(Duration::from_secs(2), sending)
            .await
            .is_err()
        {
            break;
        }
        sent += 1;
        assert!(sent < 1_000, "it goes on reading without end");
    }
    let memory = gateway.process().footprint().memory;
    assert!(memory < 200 << 20, "{memory} bytes");
    sent
}
