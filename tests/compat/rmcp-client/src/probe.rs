//! One connection and the report of its checks.

use std::fmt::Display;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, Peer, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientServiceExt, RoleClient};
use serde_json::{Value, json};

use crate::handler::{Declares, Handler};
use crate::inbox::Inbox;

const DEADLINE: Duration = Duration::from_secs(20);

pub type Outcome = Result<(), String>;

/// An initialised connection to one server.
pub struct Probe {
    service: RunningService<RoleClient, Handler>,
    pub inbox: Inbox,
    failures: u32,
}

/// An error with its sources, because the SDK's outermost message often says little.
pub fn shown(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

pub fn expect(holds: bool, saw: impl Display) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(format!("unexpected: {saw}"))
    }
}

/// The text blocks of a tool's answer.
pub fn text(result: &CallToolResult) -> String {
    let blocks = result.content.iter().filter_map(|block| block.as_text());
    blocks
        .map(|block| block.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

fn report(name: &str, outcome: &Outcome) {
    let line = match outcome {
        Ok(()) => json!({"check": name, "ok": true}),
        Err(saw) => json!({"check": name, "ok": false, "saw": saw.chars().take(2000).collect::<String>()}),
    };
    println!("{line}");
}

async fn within(body: impl Future<Output = Outcome>) -> Outcome {
    tokio::time::timeout(DEADLINE, body)
        .await
        .unwrap_or_else(|_| Err(format!("nothing within {DEADLINE:?}")))
}

fn lifecycle(mode: &str) -> Result<ClientLifecycleMode, String> {
    match mode {
        "legacy" => Ok(ClientLifecycleMode::Initialize),
        "auto" => Ok(ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::LATEST],
            legacy_version: None,
        }),
        other => Err(format!("unknown mode {other}")),
    }
}

async fn open(
    server: &str,
    url: &str,
    mode: &str,
    inbox: Inbox,
) -> Result<RunningService<RoleClient, Handler>, String> {
    let declares = if server == "everything" {
        Declares::Everything
    } else {
        Declares::Nothing
    };
    let handler = Handler { declares, inbox };
    let opening =
        handler.serve_with_lifecycle(StreamableHttpClientTransport::from_uri(url), lifecycle(mode)?);
    let opened = tokio::time::timeout(DEADLINE, opening).await;
    opened
        .map_err(|_| format!("nothing within {DEADLINE:?}"))?
        .map_err(shown)
}

impl Probe {
    /// Connects and reports the check `initialize`; `None` if that failed.
    pub async fn connect(server: &str, url: &str, mode: &str) -> Option<Self> {
        let inbox = Inbox::default();
        let opened = open(server, url, mode, inbox.clone()).await;
        let info = opened.as_ref().ok().and_then(|service| service.peer_info());
        let name = info
            .and_then(|info| info.server_info.clone())
            .map(|info| info.name)
            .unwrap_or_default();
        let expected = match server {
            "filesystem" => "secure-filesystem-server",
            "memory" => "memory-server",
            "time" => "mcp-time",
            _ => "mcp-servers/everything",
        };
        let outcome = match &opened {
            Ok(_) => expect(name == expected, &name),
            Err(error) => Err(error.clone()),
        };
        report("initialize", &outcome);
        let failures = u32::from(outcome.is_err());
        opened.ok().map(|service| Self {
            service,
            inbox,
            failures,
        })
    }

    pub fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    /// Runs one check under the deadline and reports it.
    pub async fn check(&mut self, name: &str, body: impl AsyncFnOnce(&Self) -> Outcome) {
        let outcome = within(body(self)).await;
        self.failures += u32::from(outcome.is_err());
        report(name, &outcome);
    }

    pub async fn call(&self, name: &'static str, arguments: Value) -> Result<CallToolResult, String> {
        self.peer()
            .call_tool(request(name, arguments))
            .await
            .map_err(shown)
    }

    pub async fn call_text(&self, name: &'static str, arguments: Value) -> Result<String, String> {
        self.call(name, arguments).await.map(|result| text(&result))
    }

    pub async fn check_tools(&mut self, present: &[&str], absent: &[&str]) {
        self.check("tools", async |probe| {
            let tools = probe.peer().list_all_tools().await.map_err(shown)?;
            let has = |name: &&str| tools.iter().any(|tool| tool.name == *name);
            let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
            expect(
                present.iter().all(has) && !absent.iter().any(has),
                names.join(" "),
            )
        })
        .await;
    }

    pub async fn check_unknown_tool(&mut self) {
        self.check("unknown-tool", async |probe| {
            match probe.call("no-such-tool", json!({})).await {
                Ok(result) => expect(
                    result.is_error == Some(true) && text(&result).contains("no-such-tool"),
                    text(&result),
                ),
                Err(error) => expect(error.contains("no-such-tool"), error),
            }
        })
        .await;
    }

    /// Ends the session, reports the check `close` and says whether all checks passed.
    pub async fn close(mut self) -> bool {
        let outcome = match tokio::time::timeout(DEADLINE, self.service.close()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(shown(error)),
            Err(_) => Err(format!("nothing within {DEADLINE:?}")),
        };
        report("close", &outcome);
        outcome.is_ok() && self.failures == 0
    }
}

pub fn request(name: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else {
        unreachable!("every caller passes an object literal")
    };
    CallToolRequestParams::new(name).with_arguments(arguments)
}
