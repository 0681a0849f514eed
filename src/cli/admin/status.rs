//! `portcullis status`.

use http::Method;
use serde_json::Value;

use super::client::AdminClient;
use super::failure::Failure;
use super::output::{cell, print, print_json};
use super::verbs::Form;

/// Prints what the gateway holds.
pub(super) async fn show(client: &AdminClient, form: Form) -> Result<(), Failure> {
    let status = client.request(Method::GET, "status", None).await?;
    if form == Form::Json {
        return Ok(print_json(&status)?);
    }
    let servers = status["servers"].as_object().into_iter().flatten();
    let servers: Vec<String> = servers.map(|(state, count)| format!("{count} {state}")).collect();
    let line = |name: &str, value: &Value| format!("{name:<11}{}\n", cell(value));
    let text = [
        line("version", &status["version"]),
        line("pid", &status["pid"]),
        format!("{:<11}{}s\n", "uptime", cell(&status["uptimeSeconds"])),
        line("draining", &status["draining"]),
        format!("{:<11}{}\n", "servers", servers.join(", ")),
        line("sessions", &status["sessions"]),
        line("streams", &status["openStreams"]),
        line("in flight", &status["inFlight"]),
        line("suspended", &status["suspended"]),
        format!("{:<11}{}\n", "cache", kept(&status["cache"])),
        line("tasks", &status["tasks"]),
        told("wrong", &status["configuration"]["problems"]),
        told("restart", &status["configuration"]["needsRestart"]),
    ];
    Ok(print(&text.concat())?)
}

/// Returns what is kept of modern servers' answers, and how often that was of use.
fn kept(cache: &Value) -> String {
    let counts = ["answers", "bytes", "hits", "misses"].map(|name| format!("{} {name}", cell(&cache[name])));
    counts.join(", ")
}

/// Returns a line for each of a list: what there is to say of the configuration, if anything.
fn told(name: &str, list: &Value) -> String {
    let lines = list.as_array().into_iter().flatten();
    lines.map(|text| format!("{name:<11}{}\n", cell(text))).collect()
}
