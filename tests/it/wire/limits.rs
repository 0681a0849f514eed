//! Limits of requests: time, and how many at once.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Method;
use serde_json::{Value, json};

use super::peer::{BOTH, LATEST, Peer, call, call_with_token};
use crate::support::{Client, Connection, Gateway, text_of, within};

#[track_caller]
fn refused(message: &Value, code: i32, reason: &str) {
    let error = &message["error"];
    assert_eq!(error["code"], code, "{message}");
    assert!(
        reason.is_empty() || error["data"]["reason"] == reason,
        "{message}"
    );
}

#[tokio::test]
async fn a_request_may_take_so_long_and_progress_extends_it_up_to_the_maximum() {
    let gateway = Gateway::start(
        "[requests]\ntimeout = \"500ms\"\ntimeout-max = \"3s\"\n\
         [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let peer = Peer::open(&gateway, "mock").await;
    let start = Instant::now();
    refused(&peer.ask(&call(1, "hang", json!({}))).await, -32001, "timeout");
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(500) && took < Duration::from_secs(10),
        "{took:?}"
    );
    peer.state_until("the server is told", |state| state["cancelled"] == 1)
        .await;
    let steps = |steps: u32| call_with_token("p", "p", "progress", json!({ "steps": steps, "ms": 100 }));
    let answer = peer.ask(&steps(15)).await;
    assert_eq!(
        text_of(&answer),
        "made 15 steps",
        "1.5 s, but never 500 ms without a word"
    );
    let start = Instant::now();
    refused(&peer.ask(&steps(10_000)).await, -32001, "timeout");
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(3) && took < Duration::from_secs(30),
        "{took:?}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_session_may_have_so_many_requests_in_flight() {
    let gateway = Gateway::start(
        "[requests]\nin-flight-max = 2\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let (peer, other) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    let endless = |id| call_with_token(id, id, "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut streams = [
        peer.post_for_stream(&endless(1)).await,
        peer.post_for_stream(&endless(2)).await,
    ];
    for stream in &mut streams {
        stream.message().await;
    }
    refused(&peer.ask(&call(3, "echo", json!({}))).await, -32004, "");
    assert_eq!(
        text_of(&other.ask(&call(3, "echo", json!({}))).await),
        "{}",
        "others are not concerned"
    );
    peer.notify("notifications/cancelled", json!({ "requestId": 1 }))
        .await;
    streams[0].rest().await;
    assert_eq!(
        text_of(&peer.ask(&call(3, "echo", json!({}))).await),
        "{}",
        "there is room again"
    );
    assert_eq!(peer.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_may_have_so_many_requests_in_flight() {
    let gateway = Gateway::with_mock(&[], "in-flight-max = 2");
    let (one, two) = (
        Peer::open(&gateway, "mock").await,
        Peer::open(&gateway, "mock").await,
    );
    // The gateway's own questions take room as well, so they are waited for.
    let listed =
        async { while gateway.admin("servers/mock").await["capabilities"]["announced"].is_null() {} };
    within("the lists", listed).await;
    let endless = call_with_token("e", "e", "progress", json!({ "steps": 1_000_000, "ms": 20 }));
    let mut streams = [
        one.post_for_stream(&endless).await,
        two.post_for_stream(&endless).await,
    ];
    for stream in &mut streams {
        stream.message().await;
    }
    refused(&one.ask(&call(3, "echo", json!({}))).await, -32004, "overloaded");
    two.notify("notifications/cancelled", json!({ "requestId": "e" }))
        .await;
    streams[1].rest().await;
    assert_eq!(text_of(&one.ask(&call(3, "echo", json!({}))).await), "{}");
    assert_eq!(one.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_read_is_overloaded_at_once() {
    let gateway = Gateway::with_mock(
        &["--stop-reading-after", "2"],
        "queue-max = 4\nqueue-bytes-max = \"1MiB\"\nrequest-timeout = \"60s\"\nstop-grace = \"100ms\"",
    );
    let peer = Peer::open(&gateway, "mock").await;
    // Requests: initialize, and then one that it still reads. The pipe holds some, the queue some more.
    let text = "x".repeat(300_000);
    let message = call(1, "echo", json!({ "text": text }));
    let flood = (0..12).map(|_| peer.ask(&message)).collect::<Vec<_>>();
    let mut refusals = 0;
    let mut flood = FuturesUnordered::from_iter(flood);
    while refusals == 0 {
        let answer = within("a refusal", flood.next()).await.expect("some are refused");
        if answer.get("error").is_some() {
            refused(&answer, -32004, "overloaded");
            refusals += 1;
        }
    }
    drop(flood);
    assert_eq!(peer.delete().await, 204);
    gateway.stop().await;
}

#[tokio::test]
async fn a_session_may_have_so_many_subscriptions() {
    let gateway = Gateway::with_mock(&[], "");
    let mut client = Client::open(&gateway, "mock").await;
    let uri = |number: usize| json!({ "uri": format!("test://template/{number}/data") });
    for number in 0..1024 {
        let answer = client.request(json!(1), "resources/subscribe", uri(number)).await;
        assert_eq!(answer["result"], json!({}), "{number}: {answer}");
    }
    let one_more = client.request(json!(1), "resources/subscribe", uri(1024)).await;
    refused(&one_more, -32004, "");
    let again = client.request(json!(1), "resources/subscribe", uri(7)).await;
    assert_eq!(again["result"], json!({}), "that one it has: {again}");
    let answer = client.request(json!(1), "resources/unsubscribe", uri(7)).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    let one_more = client.request(json!(1), "resources/subscribe", uri(1024)).await;
    assert_eq!(one_more["result"], json!({}), "there is room again: {one_more}");
    let long = json!({ "uri": format!("test://{}", "x".repeat(4096)) });
    let long = client.request(json!(1), "resources/subscribe", long).await;
    refused(&long, -32602, "");
    let state = client.call("state", json!({})).await;
    let state: Value = serde_json::from_str(text_of(&state)).expect("JSON");
    assert_eq!(state["subscriptions"].as_array().map(Vec::len), Some(1024));
    client.close().await;
    // Nobody has them any more, and that is what the server hears.
    let other = Peer::open(&gateway, "mock").await;
    other
        .state_until("the end of all subscriptions", |state| {
            state["subscriptions"] == json!([])
        })
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_client_says_of_itself_has_a_limit() {
    let gateway = Gateway::with_mock(&[], "");
    let initialize = |padding: usize| {
        let info = json!({ "name": "it", "version": "1", "padding": "x".repeat(padding) });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": LATEST, "capabilities": {}, "clientInfo": info } })
    };
    let mut connection = Connection::open(gateway.address()).await;
    let headers = [("accept", BOTH), ("content-type", "application/json")];
    for (padding, is_taken) in [(65_000, true), (66_000, false)] {
        let body = initialize(padding).to_string().into();
        let answer = connection.send(Method::POST, "/mcp/mock", &headers, body).await;
        assert_eq!(answer.header("mcp-session-id").is_some(), is_taken, "{padding}");
        let message = answer.json().await;
        if !is_taken {
            refused(&message, -32602, "");
        }
    }
    let sessions = gateway.admin("sessions").await;
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_may_owe_a_server_so_many_answers() {
    let gateway = Gateway::start(
        "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\n",
    );
    let (peer, _) = Peer::open_as(&gateway, "mock", LATEST, json!({ "roots": {} })).await;
    let mut listening = peer.listen().await;
    let ask = call(1, "ask", json!({ "method": "roots/list" }));
    // Beside another request questions go to the session's own stream, all of them.
    let hanging = call(2, "hang", json!({}));
    let hanging = peer.post(&hanging);
    let mut hanging = std::pin::pin!(hanging);
    let in_flight = super::peer::until("the request beside", async || {
        (gateway.admin("status").await["inFlight"] == 1).then_some(())
    });
    tokio::select! {
        _ = &mut hanging => panic!("it never has an answer"),
        () = in_flight => {}
    }
    let mut asking: FuturesUnordered<_> = (0..257).map(|_| peer.ask(&ask)).collect();
    let mut questions = Vec::new();
    // All but one question reach the client, which answers none: whatever is answered now was refused.
    let refusal = loop {
        tokio::select! {
            answer = asking.next() => break answer.expect("they wait"),
            question = listening.message() => questions.push(question["id"].clone()),
        }
    };
    let text = text_of(&refusal);
    assert!(text.contains("too many requests wait for the client"), "{text}");
    while questions.len() < 256 {
        let question = tokio::select! {
            answer = asking.next() => panic!("256 may wait: {answer:?}"),
            question = listening.message() => question,
        };
        questions.push(question["id"].clone());
    }
    for question in &questions {
        peer.answer(question, json!({ "roots": [] })).await;
    }
    while let Some(answer) = within("the other answers", asking.next()).await {
        assert_eq!(text_of(&answer), "{\"roots\":[]}");
    }
    let again = async {
        let question = listening.message().await;
        peer.answer(&question["id"], json!({ "roots": [] })).await;
    };
    let (answer, ()) = tokio::join!(peer.ask(&ask), again);
    assert_eq!(text_of(&answer), "{\"roots\":[]}", "there is room again");
    gateway.stop().await;
}
