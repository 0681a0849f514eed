//! Two gateways: one with the mock behind it, and one that knows it as a remote server.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use serde_json::Value;

use crate::support::Gateway;
use crate::wire::peer::until;

/// The gateway with the mock.
pub(super) fn near_the_mock(sharing: &str) -> Gateway {
    Gateway::start(&format!(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"{sharing}\"\nbackoff-initial = \"10ms\"\n"
    ))
}

/// A gateway to whose clients a remote server is called `far`.
pub(super) fn to(url: &str, more: &str) -> Gateway {
    to_in(&[], url, more)
}

/// The same with these variables in its environment.
pub(super) fn to_in(environment: &[(&str, &str)], url: &str, more: &str) -> Gateway {
    let configuration = format!(
        "[servers.far]\nurl = \"{url}\"\nbackoff-initial = \"10ms\"\nbackoff-max = \"50ms\"\n{more}\n"
    );
    Gateway::start_in(environment, &configuration)
}

/// Returns the URL of the mock at a gateway.
pub(super) fn mock_at(address: SocketAddr) -> String {
    format!("http://{address}/mcp/mock")
}

/// Returns what a gateway shows of `far`.
pub(super) async fn record(gateway: &Gateway) -> Value {
    gateway.admin("servers/far").await
}

/// Waits until `far` is as wanted.
pub(super) async fn record_until(gateway: &Gateway, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
    until(what, async || {
        let record = record(gateway).await;
        accept(&record).then_some(record)
    })
    .await
}

/// Returns what the log of `far` says, over all its instances.
pub(super) async fn log(gateway: &Gateway) -> String {
    gateway.admin("servers/far/stderr").await.to_string()
}

/// Ends every session of a gateway; returns how many there were.
pub(super) async fn end_sessions(gateway: &Gateway) -> usize {
    let list = gateway.admin("sessions").await;
    let sessions = list["sessions"].as_array().expect("a list");
    for session in sessions {
        let handle = session["handle"].as_str().expect("text");
        let status = gateway.order(Method::DELETE, &format!("sessions/{handle}")).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    sessions.len()
}
