//! The stream of events: over HTTP, and in the library.

use std::sync::Arc;

use http::Method;
use portcullis::app::App;
use portcullis::config::{Loader, ServerSpec};
use portcullis::registry::{Actor, EventKind, Source};
use portcullis::upstream::launch::{Launch, LaunchError, LaunchFuture, LaunchSpec};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::operator::Operator;
use super::{gateway, mock};
use crate::support::{EventStream, within};

/// Reads events until one is the last that is wanted: their number, type, server, actor, cause and phase or status.
async fn read(operator: &Operator, events: &mut EventStream, last: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    loop {
        let event = events.next().await.expect("it goes on");
        let data = event.json();
        operator.validate(&json!({ "$ref": "#/components/schemas/Event" }), &data);
        assert_eq!(event.id, Some(data["id"].to_string()));
        assert_eq!(data["type"], event.kind.as_str());
        let detail = ["phase", "status", "changed"]
            .iter()
            .find_map(|name| data["data"].get(name));
        seen.push(json!([
            data["id"],
            data["type"],
            data["server"],
            data["actor"],
            data["cause"],
            detail
        ]));
        if event.kind == last {
            return seen;
        }
    }
}

#[tokio::test]
async fn events_come_in_order_and_can_be_replayed() {
    let gateway = gateway("");
    let operator = Operator::of(&gateway).await;
    let (mut events, _first) = operator.events("/events", Some(1)).await;
    operator.request(Method::POST, "/servers", Some(mock("a"))).await;
    operator.order("a", "start").await;
    let mut seen = read(&operator, &mut events, "server.capabilities.changed").await;
    operator.order("a", "stop").await;
    operator.order("a", "disable").await;
    operator.request(Method::DELETE, "/servers/a", None).await;
    seen.extend(read(&operator, &mut events, "server.unregistered").await);
    let changed = "server.connection.changed";
    let listed = json!(["tools", "resources", "resourceTemplates", "prompts"]);
    let expect = json!([
        [2, "server.registered", "a", "admin", "registered", null],
        [3, changed, "a", "admin", "started by admin", "starting"],
        [4, changed, "a", "gateway", "handshake", "ready"],
        [
            5,
            "server.capabilities.changed",
            "a",
            "gateway",
            "started",
            listed
        ],
        [6, changed, "a", "admin", "stopped by admin", "draining"],
        [7, changed, "a", "admin", "stopped by admin", "stopped"],
        [8, "server.status.changed", "a", "admin", "disabled", "disabled"],
        [9, "server.unregistered", "a", "admin", "unregistered", null],
    ]);
    assert_eq!(json!(seen), expect);

    let (mut again, _second) = operator.events("/events", Some(6)).await;
    let replayed = read(&operator, &mut again, "server.unregistered").await;
    assert_eq!(replayed, seen[5..]);
    let (mut others, _third) = operator.events("/events?server=mock", Some(0)).await;
    let (mut from_now, _fourth) = operator.events("/events", None).await;
    operator.order("mock", "disable").await;
    let of_mock = read(&operator, &mut others, "server.status.changed").await;
    let status = json!([
        10,
        "server.status.changed",
        "mock",
        "admin",
        "disabled",
        "disabled"
    ]);
    assert_eq!(
        json!(of_mock),
        json!([
            [1, "server.registered", "mock", "config", "registered", null],
            status
        ])
    );
    assert_eq!(
        json!(read(&operator, &mut from_now, "server.status.changed").await),
        json!([status])
    );

    for path in ["/events?server=a%20b", "/events?sever=a"] {
        assert_eq!(
            operator.refused(Method::GET, path, None).await,
            (400, "bad_request".to_owned())
        );
    }
    gateway.stop().await;
    assert!(
        from_now.next().await.is_none_or(|event| event.kind == changed),
        "the end of the gateway is the end"
    );
}

#[tokio::test]
async fn a_stream_is_kept_alive_and_does_not_hold_up_the_end() {
    let gateway = gateway("http.keep-alive = \"100ms\"\nhttp.drain-timeout = \"60s\"\n");
    let operator = Operator::of(&gateway).await;
    let (mut events, _connection) = operator.events("/events", None).await;
    let started = std::time::Instant::now();
    gateway.stop().await;
    while events.next().await.is_some() {}
    assert!(
        started.elapsed().as_secs() < 30,
        "it ended with the gateway, not with the drain time"
    );
}

/// A system on which nothing can be started.
#[derive(Debug)]
struct NoLaunch;

impl Launch for NoLaunch {
    fn launch<'a>(&'a self, _spec: &'a LaunchSpec) -> LaunchFuture<'a> {
        Box::pin(async {
            Err(LaunchError::Invalid {
                what: "nothing starts here".to_owned(),
            })
        })
    }
}

#[tokio::test]
async fn the_library_offers_the_same_stream() {
    let state = std::env::temp_dir().join(format!("portcullis-it-library-{}", std::process::id()));
    let flags = [
        ("state-dir", &*state.display().to_string()),
        ("listen", "127.0.0.1:0"),
        ("admin.enabled", "false"),
    ];
    let loader = Loader {
        flags: flags.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
        ..Loader::default()
    };
    let config = loader.load().expect("valid").config;
    let defaults = config.server_defaults.clone();
    let app = App::start_with(config, Arc::new(NoLaunch))
        .await
        .expect("it starts");
    let gateway = app.gateway().clone();
    let mut events = gateway.registry().events().subscribe(None);
    let spec = ServerSpec::from_api(&json!({ "name": "a", "command": "x" }), &defaults).expect("valid");
    gateway
        .register(spec.into(), Source::Api, Actor::Admin)
        .await
        .expect("new");
    gateway
        .start_server("a", Actor::Admin)
        .await
        .expect("it may be tried");
    gateway.unregister("a", Actor::Admin).await.expect("it is there");
    let mut seen: Vec<(EventKind, Actor, u64, Value)> = Vec::new();
    while seen
        .last()
        .is_none_or(|(kind, ..)| *kind != EventKind::Unregistered)
    {
        let new = within("events", events.next()).await;
        seen.extend(
            new.iter()
                .map(|event| (event.kind, event.actor, event.id, event.data["phase"].clone())),
        );
    }
    let expect = [
        (EventKind::Registered, Actor::Admin, 1, Value::Null),
        (EventKind::ConnectionChanged, Actor::Admin, 2, json!("starting")),
        (EventKind::ConnectionChanged, Actor::Gateway, 3, json!("failed")),
        (EventKind::Unregistered, Actor::Admin, 4, Value::Null),
    ];
    assert_eq!(seen, expect);
    app.stop("the test is over", CancellationToken::new()).await;
    assert!(!state.exists(), "without the admin API nothing is kept");
}
