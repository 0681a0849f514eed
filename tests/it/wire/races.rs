//! What crosses: sessions that open while their server is disabled, subscribers that come while others leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::app::App;
use portcullis::config::Loader;
use portcullis::gateway::Gateway as Core;
use portcullis::registry::Actor;
use portcullis::session::Transport;
use portcullis::upstream::launch::{Launch, LaunchError, LaunchFuture, LaunchSpec};
use portcullis::upstream::lease::Applicant;
use portcullis::upstream::{ServerPool, UpstreamError};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::peer::{Peer, call};
use crate::support::{Client, Gateway, anonymous};

/// Starts nothing, and counts how often it was asked to.
#[derive(Default)]
struct NoLaunch(AtomicUsize);

impl Launch for NoLaunch {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> LaunchFuture<'a> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let program = format!("{spec:?}");
        Box::pin(async move { Err(LaunchError::NotFound { program }) })
    }
}

/// Starts a gateway whose one server, `a`, never starts.
async fn start(launch: &Arc<NoLaunch>) -> App {
    let state = std::env::temp_dir().join("portcullis-it-no-state");
    let flags = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("admin.enabled", "false".to_owned()),
        ("state-dir", state.display().to_string()),
        ("servers.a.command", "x".to_owned()),
        ("servers.a.sharing", "shared".to_owned()),
    ];
    let loader = Loader {
        flags: flags.map(|(key, value)| (key.to_owned(), value)).into(),
        ..Loader::default()
    };
    let config = loader.load().expect("valid").config;
    App::start_with(config, launch.clone())
        .await
        .expect("a port is free")
}

/// Asks for a connection as a request does that found the server enabled a moment ago.
async fn connect(pool: &ServerPool) -> UpstreamError {
    let applicant = Applicant {
        principal: "anonymous",
        era: portcullis::protocol::Era::Handshake,
        facts: None,
        preferred: None,
    };
    let lease = pool.lease(&applicant, || unreachable!("sessions share"), || None);
    let deadline = Instant::now() + Duration::from_secs(60);
    let connection = lease.upstream().connection(deadline).await;
    connection.expect_err("nothing ever starts")
}

fn keep_new_session(core: &Arc<Core>) -> bool {
    let server = core.registry().server("a").expect("it is registered");
    let session = core.new_session(server, anonymous(), Transport::HttpSse);
    core.keep_session(&session);
    !session.has_ended()
}

#[tokio::test]
async fn what_finds_a_server_enabled_and_comes_when_it_is_not_starts_nothing_and_ends() {
    let launch = Arc::new(NoLaunch::default());
    let app = start(&launch).await;
    let core = app.gateway();
    let server = core.registry().server("a").expect("it is registered");
    let pool = server.pool();
    let starts = || launch.0.load(Ordering::Relaxed);

    core.disable("a", Actor::Admin).await.expect("it is enabled");
    let refusal = connect(&pool).await;
    assert!(matches!(refusal, UpstreamError::Stopped(_)), "{refusal}");
    pool.start("an order that came late").await;
    pool.restart("another one").await;
    assert_eq!(starts(), 0);
    assert!(!keep_new_session(core) && core.sessions().is_empty());

    core.enable("a", Actor::Admin).await.expect("it is disabled");
    connect(&pool).await;
    assert_eq!(starts(), 1, "now it may");
    assert!(keep_new_session(core) && core.sessions().len() == 1);

    core.unregister("a", Actor::Admin)
        .await
        .expect("it is registered");
    assert!(core.sessions().is_empty());
    let late = core.new_session(server, anonymous(), Transport::HttpSse);
    core.keep_session(&late);
    assert!(late.has_ended() && core.sessions().is_empty());
    let refusal = connect(&pool).await;
    assert!(matches!(refusal, UpstreamError::Stopped(_)), "{refusal}");
    assert_eq!(starts(), 1);
    app.stop("the test is over", CancellationToken::new()).await;
}

const WATCHED: &str = "test://watched-resource";

async fn tell(client: &mut Client, method: &str) {
    let answer = client.request(json!(1), method, json!({ "uri": WATCHED })).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
}

#[tokio::test]
async fn a_server_knows_of_a_subscription_if_and_only_if_somebody_has_it() {
    const SUBSCRIBE: &str = "resources/subscribe";
    const UNSUBSCRIBE: &str = "resources/unsubscribe";
    let gateway = Gateway::with_mock(&[], "");
    let (mut one, mut two) = (
        Client::open(&gateway, "mock").await,
        Client::open(&gateway, "mock").await,
    );
    let observer = Peer::open(&gateway, "mock").await;
    for round in 0..200 {
        tell(&mut one, SUBSCRIBE).await;
        tokio::join!(tell(&mut one, UNSUBSCRIBE), tell(&mut two, SUBSCRIBE));
        // What mends a crossing is in the server's pipe before this question.
        assert_eq!(
            observer.state().await["subscriptions"],
            json!([WATCHED]),
            "{round}: one left while two came"
        );
        tell(&mut one, SUBSCRIBE).await;
        tokio::join!(tell(&mut one, UNSUBSCRIBE), tell(&mut two, UNSUBSCRIBE));
        assert_eq!(
            observer.state().await["subscriptions"],
            json!([]),
            "{round}: both left"
        );
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_subscription_that_was_refused_before_it_was_sent_is_none() {
    // The server takes one request at a time, so the second one is refused by the gateway.
    let gateway = Gateway::with_mock(&[], "in-flight-max = 1");
    let (busy, peer) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let steps = super::peer::call_with_token(1, 1, "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    // What the gateway itself asks at the start has to be over: the last list is that of the prompts.
    super::peer::until("the lists of the server", async || {
        let record = gateway.admin("servers/mock").await;
        let prompts = record["capabilities"]["prompts"].as_array();
        prompts.is_some_and(|prompts| !prompts.is_empty()).then_some(())
    })
    .await;
    let mut stream = busy.post_for_stream(&steps).await;
    stream.message().await;
    let answer: Value = peer
        .request("resources/subscribe", json!({ "uri": WATCHED }))
        .await;
    assert_eq!(answer["error"]["code"], -32004, "{answer}");
    busy.notify("notifications/cancelled", json!({ "requestId": 1 }))
        .await;
    stream.rest().await;
    let mut listening = peer.listen().await;
    peer.ask(&call(1, "touch", json!({ "uri": WATCHED, "force": true })))
        .await;
    peer.ask(&call(1, "change", json!({ "kind": "tools", "name": "added" })))
        .await;
    let message = listening.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed", "{message}");
    gateway.stop().await;
}
