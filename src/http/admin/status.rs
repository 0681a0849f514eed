//! The gateway as a whole: what it holds at the moment, for whoever wonders whether anything is left behind.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;
use tokio::runtime::Handle;

use super::super::reply::Response;
use super::routes::AdminContext;
use super::servers::answer;
use crate::gateway::Gateway;
use crate::registry::record::{ConnectionState, ServerStatus};

/// What the gateway holds.
pub(super) fn show(context: &AdminContext) -> Response {
    let gateway = &*context.gateway;
    let problems = context.roster.as_ref().map(|roster| roster.problems());
    let sessions = gateway.sessions().all();
    let streams: usize = sessions.iter().map(|session| session.open_streams()).sum();
    answer(
        StatusCode::OK,
        &json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptimeSeconds": gateway.uptime().as_secs(),
            "draining": gateway.is_draining(),
            "sessions": sessions.len(),
            "openStreams": streams,
            "inFlight": gateway.in_flight(),
            "suspended": gateway.suspended(),
            "cache": gateway.cache_usage(),
            "tasks": Handle::current().metrics().num_alive_tasks(),
            "servers": servers_by_state(gateway),
            "configuration": {
                "problems": problems.unwrap_or_default(),
                "needsRestart": &*context.needs_restart.borrow(),
            },
        }),
    )
}

/// How many servers there are of each kind; one that is disabled counts as that alone.
fn servers_by_state(gateway: &Gateway) -> BTreeMap<&'static str, usize> {
    let mut counts =
        BTreeMap::from(["connected", "disconnected", "error", "disabled"].map(|state| (state, 0)));
    for server in gateway.registry().servers() {
        let record = server.record();
        let state = match (record.status, record.connection_state) {
            (ServerStatus::Disabled, _) => "disabled",
            (_, ConnectionState::Connected) => "connected",
            (_, ConnectionState::Disconnected) => "disconnected",
            (_, ConnectionState::Error) => "error",
        };
        *counts.entry(state).or_default() += 1;
    }
    counts
}
