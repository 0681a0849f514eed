//! `portcullis servers`, `portcullis server …`, `portcullis stderr`.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use http::Method;
use serde_json::Value;

use super::client::AdminClient;
use super::failure::Failure;
use super::output::{cell, print, print_json, visible};
use super::table::table;
use super::verbs::{Form, Order};

/// Prints every server.
pub(super) async fn list(client: &AdminClient, form: Form) -> Result<(), Failure> {
    let answer = client.request(Method::GET, "servers", None).await?;
    if form == Form::Json {
        return Ok(print_json(&answer)?);
    }
    let servers = answer["servers"].as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = servers.map(|(_, server)| row(server)).collect();
    let head = [
        "NAME", "STATUS", "STATE", "PHASE", "PID", "SESSIONS", "RESTARTS", "UPTIME", "PATH",
    ];
    Ok(print(&table(&head, &rows))?)
}

fn row(server: &Value) -> Vec<String> {
    let uptime = server["uptimeSeconds"]
        .as_u64()
        .map_or("-".to_owned(), |seconds| format!("{seconds}s"));
    let path = format!("/mcp/{}", server["path"].as_str().unwrap_or_default());
    let cells = [
        "name",
        "status",
        "connectionState",
        "phase",
        "pid",
        "sessions",
        "restarts",
    ];
    let cells = cells.map(|name| cell(&server[name]));
    cells.into_iter().chain([uptime, path]).collect()
}

/// Prints one server, whole.
pub(super) async fn show(client: &AdminClient, name: &str) -> Result<(), Failure> {
    Ok(print_json(
        &client.request(Method::GET, &path(name, ""), None).await?,
    )?)
}

/// Registers the server that a file of JSON describes; `-` is standard input.
pub(super) async fn register(client: &AdminClient, file: &Path) -> Result<(), Failure> {
    let registration = read_json(file).map_err(Failure::Input)?;
    let server = client
        .request(Method::POST, "servers", Some(&registration))
        .await?;
    Ok(print(&format!(
        "{} registered at /mcp/{}",
        cell(&server["name"]),
        cell(&server["path"])
    ))?)
}

fn read_json(file: &Path) -> anyhow::Result<Value> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Removes a server.
pub(super) async fn unregister(client: &AdminClient, name: &str) -> Result<(), Failure> {
    client.request(Method::DELETE, &path(name, ""), None).await?;
    Ok(print(&format!("{name} unregistered"))?)
}

/// Starts, stops, restarts, enables or disables a server.
pub(super) async fn order(client: &AdminClient, order: Order, name: &str) -> Result<(), Failure> {
    let server = client
        .request(Method::POST, &path(name, &format!("/{}", order.as_str())), None)
        .await?;
    let comes_up = matches!(order, Order::Start | Order::Restart);
    if comes_up && server["connectionState"] != "connected" {
        let error = server["lastError"].as_str().unwrap_or("it is not ready yet");
        let message = format!("{name} is {}: {}", cell(&server["phase"]), visible(error));
        return Err(Failure::NotUp(message));
    }
    Ok(print(&format!(
        "{name} is {}, {}",
        cell(&server["status"]),
        cell(&server["phase"])
    ))?)
}

/// Prints the last lines of a server's stderr, by instance.
pub(super) async fn stderr(client: &AdminClient, name: &str) -> Result<(), Failure> {
    let answer = client.request(Method::GET, &path(name, "/stderr"), None).await?;
    let mut text = String::new();
    for instance in answer["instances"].as_array().into_iter().flatten() {
        text += &format!(
            "instance {} ({})\n",
            instance["instance"],
            cell(&instance["phase"])
        );
        for line in instance["lines"].as_array().into_iter().flatten() {
            text += &format!("  {}\n", cell(line));
        }
    }
    if text.is_empty() {
        text = format!("{name} has no instance\n");
    }
    Ok(print(&text)?)
}

/// Returns a path below a server. What is no name stays one segment, and the gateway will not know it.
fn path(name: &str, below: &str) -> String {
    let name: String = name
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("servers/{name}{below}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(path("a.b_c-1", "/stop"), "servers/a.b_c-1/stop");
        assert_eq!(path("../x y?é", ""), "servers/..%2Fx%20y%3F%C3%A9");
    }
}
