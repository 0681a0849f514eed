//! Several servers behind one name.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::caller::{BOTH, Caller, initialize};
use crate::support::Gateway;

fn gateway(servers: &str) -> Gateway {
    let server = |name: &str| {
        format!("[servers.{name}]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n")
    };
    let servers = format!(
        "{}{}[routes.both]\nservers = {servers}\n",
        server("a"),
        server("b")
    );
    Gateway::start(&servers)
}

const BOTH_SERVERS: Caller<'_> = Caller {
    token: None,
    path: "/mcp/both",
    header: None,
};

/// The servers of the sessions, in the order in which they were opened.
async fn servers(gateway: &Gateway) -> Vec<String> {
    let sessions = gateway.admin("sessions").await;
    let list = sessions["sessions"].as_array().expect("a list");
    let name = |session: &Value| session["server"].as_str().expect("a name").to_owned();
    list.iter().map(name).collect()
}

#[tokio::test]
async fn sessions_go_where_the_fewest_are_for_the_weight_and_stay_there() {
    let gateway = gateway("[{ server = \"a\", weight = 2 }, \"b\"]");
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(BOTH_SERVERS.open(&gateway).await.expect("it opens"));
    }
    assert_eq!(servers(&gateway).await, ["a", "a", "b", "a", "a", "b"]);
    let known = [StatusCode::OK, StatusCode::OK, StatusCode::NO_CONTENT];
    let direct = Caller {
        path: "/mcp/b",
        ..BOTH_SERVERS
    };
    assert_eq!(
        direct.use_session(&gateway, &sessions[0]).await,
        [StatusCode::NOT_FOUND; 3]
    );
    assert_eq!(BOTH_SERVERS.use_session(&gateway, &sessions[0]).await, known);
    assert_eq!(BOTH_SERVERS.use_session(&gateway, &sessions[2]).await, known);
    let (endpoint, ..) = BOTH_SERVERS.listen(&gateway).await;
    assert!(endpoint.starts_with("/mcp/both?sessionId="), "{endpoint}");
}

#[tokio::test]
async fn a_server_that_cannot_be_used_gets_no_session() {
    let gateway = gateway("[\"a\", \"b\"]");
    assert_eq!(
        gateway.order(Method::POST, "servers/a/disable").await,
        StatusCode::OK
    );
    for _ in 0..2 {
        BOTH_SERVERS.open(&gateway).await.expect("it opens");
    }
    assert_eq!(servers(&gateway).await, ["b", "b"]);
    assert_eq!(
        gateway.order(Method::DELETE, "servers/b").await,
        StatusCode::NO_CONTENT
    );
    let (status, text) = BOTH_SERVERS.open(&gateway).await.expect_err("none is left");
    assert_eq!(
        (status, &*text),
        (StatusCode::SERVICE_UNAVAILABLE, "the server a is disabled")
    );
    let (answer, _connection) = BOTH_SERVERS
        .send(&gateway, Method::POST, &[("accept", BOTH)], &initialize())
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        gateway.order(Method::DELETE, "servers/a").await,
        StatusCode::NO_CONTENT
    );
    let (status, _) = BOTH_SERVERS.open(&gateway).await.expect_err("none is registered");
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_path_of_a_route_is_taken() {
    let gateway = gateway("[\"a\"]");
    let status = gateway.patch("servers/b", &json!({ "path": "both" })).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let status = gateway.patch("servers/b", &json!({ "path": "other" })).await;
    assert_eq!(status, StatusCode::OK);
}
