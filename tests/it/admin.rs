//! The admin API, its OpenAPI document and the commands that use it, on the real gateway.

mod access;
mod changes;
mod commands;
mod events;
mod operator;
mod orders;
mod plugins;
mod secrets;
mod sessions;
mod urls;

/// A server that runs the mock, as the API registers it.
fn mock(name: &str) -> serde_json::Value {
    serde_json::json!({ "name": name, "command": "@self", "args": ["mock-server"], "sharing": "shared" })
}

/// A gateway that lets the API register commands, with one mock called `mock`.
fn gateway(more: &str) -> crate::support::Gateway {
    crate::support::Gateway::start(&format!(
        "admin.allow-commands = true\n{more}\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n"
    ))
}
