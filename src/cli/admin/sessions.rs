//! `portcullis sessions`.

use http::Method;
use serde_json::Value;

use super::client::AdminClient;
use super::failure::Failure;
use super::output::{cell, print, print_json};
use super::table::{table, timestamp};
use super::verbs::Form;

/// Prints every session.
pub(super) async fn list(client: &AdminClient, form: Form) -> Result<(), Failure> {
    let answer = client.request(Method::GET, "sessions", None).await?;
    if form == Form::Json {
        return Ok(print_json(&answer)?);
    }
    let sessions = answer["sessions"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = sessions.map(row).collect();
    let head = [
        "HANDLE",
        "SERVER",
        "PRINCIPAL",
        "MODE",
        "TRANSPORT",
        "VERSION",
        "CLIENT",
        "LEASE",
        "INSTANCE",
        "STREAMS",
        "IN FLIGHT",
        "LAST ACTIVITY",
    ];
    Ok(print(&table(&head, &rows))?)
}

fn row(session: &Value) -> Vec<String> {
    let values = [
        &session["handle"],
        &session["server"],
        &session["principal"],
        &session["mode"],
        &session["transport"],
        &session["protocolVersion"],
        &session["client"]["name"],
        &session["lease"]["kind"],
        &session["lease"]["instance"],
        &session["openStreams"],
        &session["inFlight"],
    ];
    let last = session["lastActivity"].as_u64().map_or("-".to_owned(), timestamp);
    values.into_iter().map(cell).chain([last]).collect()
}

/// Ends a session.
pub(super) async fn end(client: &AdminClient, handle: &str) -> Result<(), Failure> {
    let is_handle = !handle.is_empty() && handle.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_handle {
        let message = anyhow::anyhow!("{handle:?} is no handle; `portcullis sessions` lists them");
        return Err(Failure::Input(message));
    }
    client
        .request(Method::DELETE, &format!("sessions/{handle}"), None)
        .await?;
    Ok(print(&format!("session {handle} ended"))?)
}
