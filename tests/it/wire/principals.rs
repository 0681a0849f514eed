//! Who may ask: tokens name principals, and a session is its principal's alone.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use super::peer::{BOTH, LATEST, Peer, call_with_token, initialize};
use crate::support::{Connection, Gateway};

const ALICE: &str = "alice-token-0123456789";
const BOB: &str = "bob-token-0123456789abc";

fn gateway(more: &str) -> Gateway {
    Gateway::start(&format!(
        "[principals.alice]\ntoken = \"{ALICE}\"\n[principals.bob]\ntoken = \"{BOB}\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"principal\"\n{more}"
    ))
}

async fn send(
    gateway: &Gateway,
    method: Method,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, String) {
    let mut connection = Connection::open(gateway.address()).await;
    let headers = [headers, &[("accept", BOTH), ("content-type", "application/json")]].concat();
    let answer = connection
        .send(method, "/mcp/mock", &headers, Bytes::from(body.to_owned()))
        .await;
    let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
    (answer.status(), challenge)
}

#[tokio::test]
async fn another_principals_session_is_unknown() {
    let gateway = gateway("");
    let (alice, _) = Peer::open_for(&gateway, "mock", LATEST, json!({}), Some(ALICE)).await;
    let session = ("mcp-session-id", alice.id());
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let bearer = |token: &str| format!("Bearer {token}");
    let (of_alice, of_bob) = (bearer(ALICE), bearer(BOB));
    for method in [Method::POST, Method::GET, Method::DELETE] {
        for headers in [&[session][..], &[session, ("authorization", &of_bob)]] {
            let (status, _) = send(&gateway, method.clone(), headers, ping).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{method} {headers:?}");
        }
    }
    let (status, _) = send(
        &gateway,
        Method::POST,
        &[session, ("authorization", &of_alice)],
        ping,
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let (other, _) = Peer::open_for(&gateway, "mock", LATEST, json!({}), Some(ALICE)).await;
    let (bob, _) = Peer::open_for(&gateway, "mock", LATEST, json!({}), Some(BOB)).await;
    let anybody = Peer::open(&gateway, "mock").await;
    let pid = async |peer: &Peer| peer.text("pid", json!({})).await;
    let pids = [
        pid(&alice).await,
        pid(&other).await,
        pid(&bob).await,
        pid(&anybody).await,
    ];
    assert_eq!(pids[0], pids[1], "the sessions of one principal share a process");
    assert!(
        pids[0] != pids[2] && pids[2] != pids[3] && pids[0] != pids[3],
        "{pids:?}"
    );
    // Cancelling by id stays within the session, too.
    let mut stream = alice
        .post_for_stream(&call_with_token(
            1,
            1,
            "progress",
            json!({ "steps": 1_000, "ms": 20 }),
        ))
        .await;
    stream.message().await;
    other
        .notify("notifications/cancelled", json!({ "requestId": 1 }))
        .await;
    stream.message().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_401_and_without_one_it_depends() {
    let opening = initialize(LATEST, json!({})).to_string();
    for (more, anonymous, challenge) in [
        ("", StatusCode::OK, ""),
        (
            "[anonymous]\nenabled = false\n",
            StatusCode::UNAUTHORIZED,
            "Bearer",
        ),
    ] {
        let gateway = gateway(more);
        let (status, seen) = send(&gateway, Method::POST, &[], &opening).await;
        assert_eq!((status, &*seen), (anonymous, challenge));
        let claims = [("x-principal", "alice"), ("x-forwarded-user", "alice")];
        assert_eq!(
            send(&gateway, Method::POST, &claims, &opening).await.0,
            anonymous,
            "no header is believed"
        );
        let good = format!("Bearer {BOB}");
        assert_eq!(
            send(&gateway, Method::POST, &[("authorization", &good)], &opening)
                .await
                .0,
            200
        );
        for wrong in [
            "Bearer nobody-token-0123456789",
            "Basic YWxpY2U6eA==",
            BOB,
            "Bearer",
        ] {
            let (status, challenge) =
                send(&gateway, Method::POST, &[("authorization", wrong)], &opening).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{wrong}");
            assert!(challenge.starts_with("Bearer"), "{challenge}");
        }
        let (status, _) = send(&gateway, Method::OPTIONS, &[("origin", "http://localhost:1")], "").await;
        assert_eq!(status, StatusCode::NO_CONTENT, "a preflight has no token");
        gateway.stop().await;
    }
}
