//! One connection and the report of its checks.

use std::fmt::Display;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ProtocolVersion, ServerNotification, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
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
    /// Whether it speaks without a handshake.
    pub is_modern: bool,
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

fn lifecycle(era: &str) -> Result<ClientLifecycleMode, String> {
    match era {
        "legacy" => Ok(ClientLifecycleMode::Initialize),
        "modern" => Ok(ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        }),
        other => Err(format!("unknown era {other}")),
    }
}

async fn open(
    server: &str,
    url: &str,
    era: &str,
    inbox: Inbox,
) -> Result<RunningService<RoleClient, Handler>, String> {
    let declares = if ["everything", "mock"].contains(&server) {
        Declares::Everything
    } else {
        Declares::Nothing
    };
    let handler = Handler { declares, inbox };
    let opening = handler.serve_with_lifecycle(StreamableHttpClientTransport::from_uri(url), lifecycle(era)?);
    let opened = tokio::time::timeout(DEADLINE, opening).await;
    opened
        .map_err(|_| format!("nothing within {DEADLINE:?}"))?
        .map_err(shown)
}

impl Probe {
    /// Connects and reports the check `initialize`; `None` if that failed.
    pub async fn connect(server: &str, url: &str, era: &str) -> Option<Self> {
        let inbox = Inbox::default();
        let opened = open(server, url, era, inbox.clone()).await;
        let info = opened.as_ref().ok().and_then(|service| service.peer_info());
        let name = info
            .and_then(|info| info.server_info.clone())
            .map(|info| info.name)
            .unwrap_or_default();
        let expected = match server {
            "filesystem" => "secure-filesystem-server",
            "memory" => "memory-server",
            "time" => "mcp-time",
            "mock" => "portcullis-mock",
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
            is_modern: era == "modern",
            failures,
        })
    }

    /// The connection with what it does by itself: it answers what is asked in an answer, and asks again.
    pub fn service(&self) -> &RunningService<RoleClient, Handler> {
        &self.service
    }

    /// Subscribes to a resource, has something done and waits until the server says that the resource was updated.
    pub async fn told_of_update(&self, uri: &'static str, act: impl AsyncFnOnce() -> Outcome) -> Outcome {
        if self.is_modern {
            let mut filter = SubscriptionFilter::new();
            filter.resource_subscriptions = Some(vec![uri.to_owned()]);
            let mut subscription = self.peer().listen(filter).await.map_err(shown)?;
            act().await?;
            let next = subscription.next().await.map_err(shown)?;
            let is_update = |told: &ServerNotification| matches!(told, ServerNotification::ResourceUpdatedNotification(told) if told.params.uri == uri);
            expect(next.as_ref().is_some_and(is_update), format!("{next:?}"))?;
            return subscription.cancel().await.map_err(shown);
        }
        let subscribing = self.peer().subscribe(SubscribeRequestParams::new(uri));
        subscribing.await.map_err(shown)?;
        act().await?;
        self.inbox
            .wait("notifications/resources/updated", |params| params["uri"] == uri)
            .await;
        let unsubscribing = self.peer().unsubscribe(UnsubscribeRequestParams::new(uri));
        unsubscribing.await.map_err(shown)
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
        self.service
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
