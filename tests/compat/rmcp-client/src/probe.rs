//! One connection and the report of its checks.

use std::fmt::Display;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmcp::model::{
    CallToolRequestParams, CallToolResult, ProtocolVersion, ServerNotification, SubscribeRequestParams,
    SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::{ClientLifecycleMode, Peer, RunningService};
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess, Transport};
use rmcp::{ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::handler::{Declares, Handler};
use crate::inbox::Inbox;
use crate::transcript::{Tap, Transcript};

const DEADLINE: Duration = Duration::from_secs(20);

pub type Outcome = Result<(), String>;

/// An initialised connection to one server.
pub struct Probe {
    service: RunningService<RoleClient, Handler>,
    pub inbox: Inbox,
    /// A word for what is written: no other run has it, and the transcript leaves it out.
    pub nonce: String,
    transcript: Transcript,
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

/// Where the server is.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    Url(&'a str),
    /// A program to start, and its arguments.
    Command(&'a str, &'a [String]),
}

type Opened = Result<RunningService<RoleClient, Handler>, String>;

async fn open(place: Place<'_>, handler: Handler, era: &str, transcript: Transcript) -> Opened {
    match place {
        Place::Url(url) => {
            let transport = StreamableHttpClientTransport::from_uri(url);
            serve(transport, handler, era, transcript).await
        }
        Place::Command(program, arguments) => {
            let mut command = Command::new(program);
            command.args(arguments);
            let started = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn();
            serve(started.map_err(shown)?.0, handler, era, transcript).await
        }
    }
}

async fn serve(
    inner: impl Transport<RoleClient> + 'static,
    handler: Handler,
    era: &str,
    transcript: Transcript,
) -> Opened {
    let opening = handler.serve_with_lifecycle(Tap { inner, transcript }, lifecycle(era)?);
    tokio::time::timeout(DEADLINE, opening)
        .await
        .map_err(|_| format!("nothing within {DEADLINE:?}"))?
        .map_err(shown)
}

/// Something no other run has: the process and the time, in nanoseconds.
fn nonce() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    format!("{}-{}", std::process::id(), now.as_nanos())
}

impl Probe {
    /// Connects and reports the check `initialize`; `None` if that failed.
    pub async fn connect(server: &str, place: Place<'_>, era: &str) -> Option<Self> {
        let (inbox, transcript) = (Inbox::default(), Transcript::default());
        let handler = Handler {
            declares: Declares::to(server),
            inbox: inbox.clone(),
        };
        transcript.record(Some("initialize"));
        let opened = open(place, handler, era, transcript.clone()).await;
        transcript.record(None);
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
            nonce: nonce(),
            transcript,
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

    /// What came back from the checks that are recorded.
    pub fn transcript(&self) -> String {
        self.transcript.text(&self.nonce)
    }

    /// Runs one check under the deadline, reports it and records its results.
    pub async fn check(&mut self, name: &str, body: impl AsyncFnOnce(&Self) -> Outcome) {
        self.transcript.record(Some(name));
        self.unrecorded(name, body).await;
        self.transcript.record(None);
    }

    /// Runs one check under the deadline and reports it. Its results need not be those of a direct connection: they come in
    /// any order, or tell the time, or only one era has such requests.
    pub async fn unrecorded(&mut self, name: &str, body: impl AsyncFnOnce(&Self) -> Outcome) {
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
