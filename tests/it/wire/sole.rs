//! What a server says on its own where one session has it for itself: it reaches that session, on one stream, and the
//! client's answers get back.

use serde_json::{Value, json};

use super::peer::{LATEST, Listening, Peer, call};
use crate::support::{Gateway, text_of};

fn gateway() -> Gateway {
    Gateway::start("[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\n")
}

async fn open(gateway: &Gateway) -> Peer {
    let everything = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
    Peer::open_as(gateway, "mock", LATEST, everything).await.0
}

fn ask(id: &str, method: &str) -> Value {
    call(id, "ask", json!({ "method": method }))
}

async fn question(stream: &mut Listening, method: &str) -> Value {
    let message = stream.message().await;
    assert_eq!(message["method"], method, "{message}");
    message["id"].clone()
}

async fn result(stream: &mut Listening) -> Value {
    let mut rest = stream.rest().await;
    assert_eq!(rest.len(), 1, "one answer, and nothing else: {rest:?}");
    rest.remove(0)
}

#[tokio::test]
async fn a_question_reaches_a_client_that_never_opened_a_stream_and_its_answer_gets_back() {
    let gateway = gateway();
    let peer = open(&gateway).await;
    for (method, answer, expected) in [
        (
            "sampling/createMessage",
            json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "hi" } }),
            "LLM response: hi",
        ),
        (
            "elicitation/create",
            json!({ "action": "accept", "content": { "answer": "42" } }),
            "action=accept, content={\"answer\":\"42\"}",
        ),
        ("roots/list", json!({ "roots": [] }), "{\"roots\":[]}"),
    ] {
        let mut stream = peer.post_for_stream(&ask("q", method)).await;
        let id = question(&mut stream, method).await;
        peer.answer(&id, answer).await;
        let message = result(&mut stream).await;
        assert_eq!((&message["id"], text_of(&message)), (&json!("q"), expected));
    }
    let mut stream = peer.post_for_stream(&ask("r", "roots/list")).await;
    let id = question(&mut stream, "roots/list").await;
    let refusal = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -1, "message": "no roots here" } });
    assert_eq!(peer.post(&refusal).await.0.status(), 202);
    assert!(text_of(&result(&mut stream).await).contains("no roots here"));
    peer.answer(&id, json!({})).await;
    peer.answer(&json!("unknown"), json!({})).await;
    let state = peer.state().await;
    assert_eq!(
        (&state["responses"], &state["responsesUnmatched"]),
        (&json!(4), &json!(0)),
        "{state}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn two_sessions_are_asked_apart_though_their_servers_use_the_same_ids() {
    let gateway = gateway();
    let (one, two) = (open(&gateway).await, open(&gateway).await);
    let mut streams = [
        one.post_for_stream(&ask("one", "elicitation/create")).await,
        two.post_for_stream(&ask("two", "elicitation/create")).await,
    ];
    let ids = [
        question(&mut streams[0], "elicitation/create").await,
        question(&mut streams[1], "elicitation/create").await,
    ];
    let content = |who: &str| json!({ "action": "accept", "content": { "answer": who } });
    two.answer(&ids[1], content("two")).await;
    one.answer(&ids[0], content("one")).await;
    for (stream, who) in streams.iter_mut().zip(["one", "two"]) {
        let message = result(stream).await;
        assert_eq!(message["id"], who);
        assert!(text_of(&message).contains(who), "{message}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn each_message_is_on_one_stream_only() {
    let gateway = gateway();
    let peer = open(&gateway).await;
    let mut listening = peer.listen().await;
    // The only request in flight: there.
    let mut stream = peer.post_for_stream(&ask("a", "roots/list")).await;
    let id = question(&mut stream, "roots/list").await;
    // Two are in flight: on the session's own stream, as somebody reads it.
    let (second, _connection) = {
        let asking = ask("b", "roots/list");
        let post = peer.post(&asking);
        let answering = async {
            let second = question(&mut listening, "roots/list").await;
            assert_ne!(second, id);
            peer.answer(&second, json!({ "roots": ["second"] })).await;
        };
        let (answer, ()) = tokio::join!(post, answering);
        answer
    };
    assert!(!second.is_stream(), "nothing but its answer came here");
    assert!(text_of(&second.json().await).contains("second"));
    peer.answer(&id, json!({ "roots": ["first"] })).await;
    assert!(text_of(&result(&mut stream).await).contains("first"));
    // None is in flight.
    peer.text("crash_after", json!({ "ms": 0 })).await;
    gateway.stop().await;
}

#[tokio::test]
async fn logs_of_its_own_server_reach_a_session_at_the_level_that_it_set() {
    let gateway = gateway();
    let (peer, result) = Peer::open_as(&gateway, "mock", LATEST, json!({})).await;
    assert_eq!(result["capabilities"]["logging"], json!({}));
    let log = |level: &str| call(1, "log", json!({ "text": level, "level": level }));
    let mut stream = peer.post_for_stream(&log("info")).await;
    let message = stream.message().await;
    assert_eq!(
        (&message["method"], &message["params"]["level"]),
        (&json!("notifications/message"), &json!("info"))
    );
    stream.rest().await;
    let answer = peer
        .request("logging/setLevel", json!({ "level": "error" }))
        .await;
    assert_eq!(answer["result"], json!({}));
    assert!(!peer.post(&log("info")).await.0.is_stream());
    assert!(peer.post(&log("error")).await.0.is_stream());
    gateway.stop().await;
}

#[tokio::test]
async fn a_level_may_be_set_before_the_client_says_that_it_is_ready() {
    let gateway = gateway();
    let mut connection = crate::support::Connection::open(gateway.address()).await;
    let headers = [
        ("accept", super::peer::BOTH),
        ("content-type", "application/json"),
    ];
    let body = super::peer::initialize(LATEST, json!({})).to_string();
    let opened = connection
        .send(http::Method::POST, "/mcp/mock", &headers, body.into())
        .await;
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    opened.bytes().await;
    let headers = [&headers[..], &[("mcp-session-id", &*session)]].concat();
    for (message, status) in [
        (
            super::peer::request(1, "logging/setLevel", json!({ "level": "debug" })),
            200,
        ),
        (
            json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
            202,
        ),
        (
            json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" }),
            202,
        ),
    ] {
        let answer = connection
            .send(
                http::Method::POST,
                "/mcp/mock",
                &headers,
                message.to_string().into(),
            )
            .await;
        assert_eq!(answer.status(), status, "{message}");
        answer.bytes().await;
    }
    let state = call(2, "state", json!({})).to_string();
    let answer = connection
        .send(http::Method::POST, "/mcp/mock", &headers, state.into())
        .await;
    let state: Value = serde_json::from_str(text_of(&answer.json().await)).expect("JSON");
    assert_eq!(state["logLevel"], "debug");
    assert_eq!(
        state["notifications"], 2,
        "initialized once, by the gateway, and the roots: {state}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_question_that_its_server_takes_back_is_taken_back_at_the_client() {
    let gateway = gateway();
    let peer = open(&gateway).await;
    let mut listening = peer.listen().await;
    let mut stream = peer.post_for_stream(&ask("q", "roots/list")).await;
    let id = question(&mut stream, "roots/list").await;
    peer.notify("notifications/cancelled", json!({ "requestId": "q" }))
        .await;
    assert!(
        stream.rest().await.is_empty(),
        "a request taken back has no answer"
    );
    let message = listening.message().await;
    assert_eq!(
        (&message["method"], &message["params"]["requestId"]),
        (&json!("notifications/cancelled"), &id),
        "{message}"
    );
    peer.answer(&id, json!({ "roots": [] })).await;
    assert_eq!(peer.state().await["responses"], 0, "too late");
    gateway.stop().await;
}

#[tokio::test]
async fn a_crash_takes_back_the_questions_of_the_process_that_is_gone() {
    let gateway = Gateway::start(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\nbackoff-initial = \"10ms\"\n",
    );
    let peer = open(&gateway).await;
    let mut listening = peer.listen().await;
    let mut stream = peer.post_for_stream(&ask("q", "roots/list")).await;
    let old = question(&mut stream, "roots/list").await;
    peer.ask(&call("c", "crash", json!({}))).await;
    assert_eq!(result(&mut stream).await["error"]["data"]["reason"], "ended");
    let message = listening.message().await;
    assert_eq!(
        (&message["method"], &message["params"]["requestId"]),
        (&json!("notifications/cancelled"), &old)
    );
    let mut stream = peer.post_for_stream(&ask("r", "roots/list")).await;
    let new = question(&mut stream, "roots/list").await;
    assert_ne!(new, old, "though the new process counts from the start");
    peer.answer(&old, json!({ "roots": ["old"] })).await;
    peer.answer(&new, json!({ "roots": ["new"] })).await;
    assert!(text_of(&result(&mut stream).await).contains("new"));
    gateway.stop().await;
}

#[tokio::test]
async fn with_auto_only_clients_that_can_be_asked_get_a_process_of_their_own() {
    let gateway = Gateway::start("[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n");
    let mut pids = Vec::new();
    let mut peers = Vec::new();
    for capabilities in [
        json!({}),
        json!({ "roots": {} }),
        json!({ "sampling": {} }),
        json!({ "elicitation": {} }),
    ] {
        let (peer, _) = Peer::open_as(&gateway, "mock", LATEST, capabilities).await;
        pids.push(peer.text("pid", json!({})).await);
        peers.push(peer);
    }
    assert_eq!(pids[0], pids[1], "these share");
    assert!(
        pids[2] != pids[0] && pids[3] != pids[0] && pids[2] != pids[3],
        "these do not: {pids:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_burst_of_messages_loses_none_for_a_client_that_reads() {
    let gateway = gateway();
    let peer = open(&gateway).await;
    let mut stream = peer
        .post_for_stream(&call(1, "notify", json!({ "count": 5_000 })))
        .await;
    let messages = stream.rest().await;
    assert_eq!(messages.len(), 5_001, "reading pauses while the client is behind");
    gateway.stop().await;
}
