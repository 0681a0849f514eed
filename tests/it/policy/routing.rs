//! Where requests go: among the servers of a route that access allows, and among the instances of one server.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::Guarded;
use crate::support::{Client, text_of};

const SERVERS: &str = r#"
[servers.stable]
command = "@self"
args = ["mock-server", "--name", "stable"]
sharing = "shared"
[servers.canary]
command = "@self"
args = ["mock-server", "--name", "canary"]
sharing = "shared"
[routes.mock]
servers = [{ server = "stable", labels = { tier = "stable" } }, { server = "canary", labels = { tier = "canary" } }]
"#;

const ROUTING: &str = "[[plugins]]\nname = \"routing-policy\"\n[plugins.config]\n";

async fn pid(client: &mut Client) -> String {
    text_of(&client.call("pid", json!({})).await).to_owned()
}

/// Returns on which servers there are sessions.
async fn used(guarded: &Guarded) -> Vec<String> {
    let answer = guarded.gateway.admin("sessions").await;
    let sessions = answer["sessions"].as_array().expect("a list").iter();
    let names: BTreeSet<_> = sessions
        .map(|session| session["server"].as_str().expect("a name").to_owned())
        .collect();
    names.into_iter().collect()
}

#[tokio::test]
async fn a_route_leads_where_the_policy_says() {
    for tier in ["stable", "canary"] {
        let rules = format!("rules = [{{ labels = {{ tier = {tier:?} }} }}]\n");
        let guarded = Guarded::start(&["routing-policy"], "", &format!("{ROUTING}{rules}{SERVERS}"));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = Client::open(&guarded.gateway, "mock").await;
            pid(&mut client).await;
            clients.push(client);
        }
        assert_eq!(used(&guarded).await, [tier]);
    }
}

#[tokio::test]
async fn no_route_leads_to_what_access_forbids() {
    let mode = "[modes.tried]\nallowed-servers = [\"canary\"]\nallowed-capabilities = [\"tools\"]\n";
    // The routing policy would rather have the other one.
    let rules = "rules = [{ strategy = \"fallback\", order = [\"stable\"] }]\n";
    let access = "[[plugins]]\nname = \"mode-access\"\n";
    let guarded = Guarded::start(
        &["mode-access", "routing-policy"],
        "default-mode = \"tried\"",
        &format!("{access}{ROUTING}{rules}{SERVERS}{mode}"),
    );
    let mut client = Client::open(&guarded.gateway, "mock").await;
    pid(&mut client).await;
    assert_eq!(used(&guarded).await, ["canary"]);
}

#[tokio::test]
async fn a_route_leads_each_mode_to_what_it_allows_of_it() {
    let mode = |name: &str, server: &str| {
        format!("[modes.{name}]\nallowed-servers = [\"{server}\"]\nallowed-capabilities = [\"tools\"]\n")
    };
    let modes = [
        mode("old", "stable"),
        mode("new", "canary"),
        mode("any", "*"),
        mode("none", "other"),
    ];
    let plugin = "[[plugins]]\nname = \"mode-access\"\n";
    let anonymous = "[anonymous]\nmodes = [\"old\", \"new\", \"any\", \"none\"]\n";
    let guarded = Guarded::start(
        &["mode-access"],
        "",
        &format!("{plugin}{anonymous}{SERVERS}{}", modes.concat()),
    );
    let open = async |mode: &str| {
        let mut connection = crate::support::Connection::open(guarded.gateway.address()).await;
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let info = json!({ "name": "it", "version": "1.0.0" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let path = format!("/modes/{mode}/mcp/mock");
        let answer = connection
            .send(http::Method::POST, &path, &headers, body.to_string().into())
            .await;
        answer.header("mcp-session-id").is_some()
    };
    for (mode, servers) in [
        ("old", &["stable"][..]),
        ("new", &["canary"]),
        ("any", &["canary", "stable"]),
    ] {
        for _ in 0..4 {
            assert!(open(mode).await, "{mode}");
        }
        let answer = guarded.gateway.admin("sessions").await;
        let sessions = answer["sessions"].as_array().expect("a list").iter();
        let its = sessions.filter(|session| session["mode"] == mode);
        let names: BTreeSet<_> = its.filter_map(|session| session["server"].as_str()).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), servers, "{mode}");
    }
    assert!(!open("none").await);
}

#[tokio::test]
async fn a_route_that_leads_nowhere_allowed_is_an_error() {
    let mode = "[modes.tried]\nallowed-servers = [\"other\"]\nallowed-capabilities = [\"tools\"]\n";
    let access = "[[plugins]]\nname = \"mode-access\"\n";
    let guarded = Guarded::start(
        &["mode-access"],
        "default-mode = \"tried\"",
        &format!("{access}{SERVERS}{mode}"),
    );
    let mut connection = crate::support::Connection::open(guarded.gateway.address()).await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answer = connection
        .send(http::Method::POST, "/mcp/mock", &headers, body.into())
        .await;
    assert_eq!(answer.status(), http::StatusCode::OK);
    let answer: Value = answer.json().await;
    assert_eq!(answer["error"]["code"], -32000, "{answer}");
}

#[tokio::test]
async fn sessions_of_several_instances_go_to_the_one_that_is_chosen() {
    let server = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\ninstances = 3\n";
    let rules = "rules = [{ strategy = \"given\" }]\n";
    let guarded = Guarded::start(&["routing-policy"], "", &format!("{ROUTING}{rules}{server}"));
    let mut pids = BTreeSet::new();
    for _ in 0..6 {
        let mut client = Client::open(&guarded.gateway, "mock").await;
        pids.insert(pid(&mut client).await);
    }
    assert_eq!(pids.len(), 1, "without the policy they are spread");
}
