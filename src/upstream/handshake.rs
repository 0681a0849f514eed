//! The handshake with a server (2025-11-25, "Lifecycle"): the one place upstream that knows the era.

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::to_raw_value;

use super::connection::Connection;
use super::error::CallError;
use crate::protocol::mcp::{InitializeParams, InitializeResult};
use crate::protocol::names::method;
use crate::protocol::reply;

/// Initialises a new generation and sets again what its sessions had set.
///
/// # Errors
/// A sentence for the operator: the server answered with an error, with nonsense, or not in time.
pub(super) async fn shake_hands(
    connection: Arc<Connection>,
    facts: Arc<InitializeParams>,
    timeout: Duration,
) -> Result<(), String> {
    let params = to_raw_value(&*facts).expect("plain data becomes JSON");
    let result = connection
        .call(method::INITIALIZE, Some(&params), timeout)
        .await
        .map_err(|error| match error {
            CallError::Refused(error) => {
                format!("it refused to initialize: {} ({})", error.message, error.code)
            }
            CallError::Upstream(error) => format!("no handshake: {error}"),
        })?;
    connection.set_initialized(InitializeResult::parse(&result)?);
    connection.send(|out| reply::write_notification(method::INITIALIZED, None, out));
    connection.inbound().ready(&connection);
    Ok(())
}
