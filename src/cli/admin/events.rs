//! `portcullis events`.

use serde_json::Value;

use super::client::AdminClient;
use super::failure::Failure;
use super::output::{cell, json, print, visible};
use super::table::timestamp;
use super::verbs::Form;

/// Prints events as they happen, one line each, until the gateway stops.
pub(super) async fn follow(
    client: &AdminClient,
    server: Option<&str>,
    after: Option<u64>,
    form: Form,
) -> Result<(), Failure> {
    let path = match server {
        Some(server) => format!("events?server={server}"),
        None => "events".to_owned(),
    };
    let mut events = client.events(&path, after).await?;
    while let Some(event) = events.next().await? {
        print(&match form {
            Form::Json => json(&event.to_string()),
            Form::Table => line(&event),
        })?;
    }
    Ok(())
}

fn line(event: &Value) -> String {
    let time = event["time"].as_u64().map_or("-".to_owned(), timestamp);
    let subject = ["server", "plugin"].iter().find_map(|kind| event.get(*kind));
    let (kind, subject, actor) = (
        cell(&event["type"]),
        subject.map(cell).unwrap_or_default(),
        cell(&event["actor"]),
    );
    let data = &event["data"];
    let detail = match event["type"].as_str() {
        Some("server.connection.changed") => {
            let instance = &data["instance"];
            let (from, to) = (cell(&data["previousPhase"]), cell(&data["phase"]));
            format!("instance {instance}: {from} -> {to}, {}", cell(&event["cause"]))
        }
        Some("plugin.failed") => visible(data["error"].as_str().unwrap_or_default()),
        Some("server.registered" | "server.unregistered" | "server.status.changed") => cell(&event["cause"]),
        _ => format!("{}: {}", cell(&event["cause"]), visible(&data.to_string())),
    };
    format!("{time}  {}  {kind}  {subject}  {detail} ({actor})", event["id"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_was_not_let_in_is_told_with_the_reason() {
        let event = serde_json::json!({
            "id": 4, "time": 1000, "type": "plugin.failed", "plugin": "guard", "actor": "gateway",
            "cause": "not let in", "data": { "error": "init refused: x", "sha256": null, "generation": 2 },
        });
        let expect = "1970-01-01T00:00:01.000Z  4  plugin.failed  guard  init refused: x (gateway)";
        assert_eq!(line(&event), expect);
    }

    #[test]
    fn one_line_says_what_happened() {
        let event = serde_json::json!({
            "id": 3, "time": 1000, "type": "server.connection.changed", "server": "a", "actor": "gateway",
            "cause": "exit\nstatus 1", "data": { "instance": 2, "phase": "backoff", "previousPhase": "ready" },
        });
        assert_eq!(
            line(&event),
            "1970-01-01T00:00:01.000Z  3  server.connection.changed  a  instance 2: ready -> backoff, \
             exit\\u{a}status 1 (gateway)"
        );
    }
}
