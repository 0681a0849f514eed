//! What lasts on a channel without a handshake: listening, clients that do not read, and the end.

use std::collections::BTreeMap;

use futures_util::{FutureExt, SinkExt};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::ends::{Kind, flood, of_era};
use super::speaker::{ERAS, ID, Speaker, request};
use crate::support::{Gateway, eventually, text_of, within};

const WATCHED: &str = "test://watched-resource";

async fn sessions(gateway: &Gateway) -> Value {
    gateway.admin("sessions").await["sessions"].clone()
}

/// Returns the next notifications: the subscription and the method of each, in order.
async fn heard(client: &mut Speaker, count: usize) -> Vec<(Value, String)> {
    let mut heard = Vec::new();
    while heard.len() < count {
        let message = client.channel.message().await;
        let method = message["method"].as_str();
        let method = method.unwrap_or_else(|| panic!("no notification: {message}"));
        heard.push((message["params"]["_meta"][ID].clone(), method.to_owned()));
    }
    heard.sort_by_key(|(id, method)| (id.to_string(), method.clone()));
    heard
}

/// Returns so many answers by their ids, whatever comes in between.
async fn answers_to(client: &mut Speaker, count: usize) -> BTreeMap<String, Value> {
    let mut answers = BTreeMap::new();
    while answers.len() < count {
        let message = client.channel.message().await;
        if message.get("method").is_none() {
            let id = message["id"].as_str().expect("ids are texts here").to_owned();
            assert!(answers.insert(id, message).is_none(), "one answer each");
        }
    }
    answers
}

/// Checks that the call `c` was answered and each of those who listen was told that it is over.
#[track_caller]
fn assert_last_words(answers: &BTreeMap<String, Value>, listening: &[&str]) {
    assert_eq!(text_of(&answers["c"]), "made 10 steps");
    for id in listening {
        let end = &answers[*id]["result"];
        assert_eq!(
            (&end["resultType"], &end["_meta"][ID]),
            (&json!("complete"), &json!(id)),
            "{answers:?}"
        );
    }
}

fn told(id: impl Into<Value>, what: &str) -> (Value, String) {
    (id.into(), format!("notifications/{what}"))
}

#[tokio::test]
async fn several_listen_at_once_each_to_its_own() {
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            // Whoever listens before the era of a server is known may have to move to another process, and is told that
            // something may have been missed.
            client.send_call("c", "echo", json!({}), None).await;
            answers_to(&mut client, 1).await;
            let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] });
            assert_eq!(
                client.listen("one", wanted.clone()).await,
                wanted,
                "{kind:?} {era}"
            );
            let wanted = json!({ "promptsListChanged": true, "toolsListChanged": true });
            let honoured = client.listen(7, wanted.clone()).await;
            assert_eq!(honoured, wanted, "{kind:?} {era}");
            // What a change brings may come before the answer to the call that makes it, or after.
            client
                .send_call("c", "change", json!({ "kind": "prompts" }), None)
                .await;
            let mut expected = vec![told(7, "prompts/list_changed")];
            assert_eq!(
                heard_and_answered(&mut client, 1).await,
                expected,
                "{kind:?} {era}"
            );
            client
                .send_call("c", "touch", json!({ "uri": WATCHED }), None)
                .await;
            expected = vec![told("one", "resources/updated")];
            assert_eq!(
                heard_and_answered(&mut client, 1).await,
                expected,
                "{kind:?} {era}"
            );
            client
                .send_call("c", "change", json!({ "kind": "tools" }), None)
                .await;
            expected = vec![told("one", "tools/list_changed"), told(7, "tools/list_changed")];
            assert_eq!(
                heard_and_answered(&mut client, 2).await,
                expected,
                "{kind:?} {era}"
            );
            client.cancel("one").await;
            let wanted = json!({ "promptsListChanged": true });
            // Its id is free at once.
            client.listen("one", wanted).await;
            client
                .send_call("c", "change", json!({ "kind": "tools" }), None)
                .await;
            expected = vec![told(7, "tools/list_changed")];
            assert_eq!(
                heard_and_answered(&mut client, 1).await,
                expected,
                "{kind:?} {era}"
            );
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

/// Returns so many notifications, and takes the answer to `c`, which may be anywhere among them.
async fn heard_and_answered(client: &mut Speaker, count: usize) -> Vec<(Value, String)> {
    let mut messages = Vec::new();
    while messages.len() <= count {
        messages.push(client.channel.message().await);
    }
    let (answers, notifications): (Vec<Value>, Vec<Value>) = messages
        .into_iter()
        .partition(|message| message.get("method").is_none());
    assert!(
        answers.len() == 1 && answers[0]["id"] == "c",
        "{answers:?} {notifications:?}"
    );
    let mut heard: Vec<_> = notifications
        .iter()
        .map(|message| {
            let method = message["method"].as_str().expect("a method");
            (message["params"]["_meta"][ID].clone(), method.to_owned())
        })
        .collect();
    heard.sort_by_key(|(id, method)| (id.to_string(), method.clone()));
    heard
}

#[tokio::test]
async fn listening_outlasts_the_time_of_idle_sessions() {
    let gateway = Gateway::start(
        "[sessions]\nidle-timeout = \"50ms\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    client.listen("l", json!({ "toolsListChanged": true })).await;
    let mut other = Speaker::enter(Kind::Socket, &gateway).await;
    // Those who were idle have been looked for when a session that is has gone.
    let mut idle = crate::support::Client::open(&gateway, "mock").await;
    idle.notify("notifications/initialized").await;
    let gone = async {
        loop {
            let sessions = sessions(&gateway).await;
            let of = |transport: &str| {
                let all = sessions.as_array().expect("a list").iter();
                all.filter(|session| session["transport"] == transport).count()
            };
            if of("streamable-http") == 0 {
                return assert_eq!(of("websocket"), 2, "{sessions}");
            }
        }
    };
    within("the end of the idle session", gone).await;
    other.call("change", json!({ "kind": "tools" })).await;
    assert_eq!(heard(&mut client, 1).await, [told("l", "tools/list_changed")]);
    drop((client, other));
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_ends_says_so_to_those_who_listen_and_answers_the_others() {
    for era in ERAS {
        let gateway = of_era(era, "");
        let mut client = Speaker::enter(Kind::Socket, &gateway).await;
        client.listen("l", json!({ "toolsListChanged": true })).await;
        client.listen("m", json!({ "promptsListChanged": true })).await;
        client
            .send_call("c", "progress", json!({ "steps": 10, "ms": 30 }), Some("t"))
            .await;
        client.channel.message().await;
        gateway.process().signal(Signal::TERM);
        let answers = answers_to(&mut client, 3).await;
        assert_last_words(&answers, &["l", "m"]);
        let frame = client.channel.closed().await.expect("it says so");
        assert_eq!(frame.code, CloseCode::Away);
        gateway.stop().await;
    }
}

#[tokio::test]
async fn sigterm_lets_pipes_be_answered_and_ends_what_listens() {
    let gateway = of_era("modern", "");
    for kind in [Kind::Pipes, Kind::Bridge] {
        let mut client = Speaker::enter(kind, &gateway).await;
        client.listen("l", json!({ "toolsListChanged": true })).await;
        client
            .send_call("c", "progress", json!({ "steps": 10, "ms": 30 }), Some("t"))
            .await;
        client.channel.message().await;
        client.channel.process().signal(Signal::TERM);
        let answers = answers_to(&mut client, 2).await;
        assert_last_words(&answers, &["l"]);
        assert_eq!(client.channel.hear().await, None, "{kind:?}: and then it ends");
        let status = client.channel.ended().await.expect("it is a process");
        assert!(status.success(), "{kind:?}: {status}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_server_that_is_disabled_is_the_end_of_the_channel_and_everything_is_answered() {
    let gateway = of_era("modern", "");
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    client.listen("l", json!({ "toolsListChanged": true })).await;
    client.send_call("h", "hang", json!({}), None).await;
    let in_flight = async { while gateway.admin("status").await["inFlight"] != 1 {} };
    within("a request in flight", in_flight).await;
    gateway.order(http::Method::POST, "servers/mock/disable").await;
    let mut answers = vec![client.channel.message().await, client.channel.message().await];
    answers.sort_by_key(|answer| answer["id"].to_string());
    assert!(answers[0]["error"]["code"].is_number(), "{answers:?}");
    assert_eq!(answers[1]["result"]["resultType"], "complete", "{answers:?}");
    let frame = client.channel.closed().await.expect("it says so");
    assert_eq!(frame.code, CloseCode::Away);
    gateway.stop().await;
}

#[tokio::test]
async fn a_channel_that_is_closed_takes_back_what_is_in_flight_and_leaves_nothing() {
    for era in ERAS {
        for sharing in ["shared", "session"] {
            let gateway = of_era(era, &format!("sharing = {sharing:?}\nstop-grace = \"100ms\""));
            let mut other = Speaker::enter(Kind::Socket, &gateway).await;
            let before = match sharing {
                "shared" => other.state().await["cancelled"].as_u64(),
                _ => None,
            };
            let descriptors = gateway.process().footprint().descriptors;
            for _ in 0..10 {
                let mut client = Speaker::enter(Kind::Socket, &gateway).await;
                client.listen("l", json!({ "toolsListChanged": true })).await;
                let endless = json!({ "steps": 10_000, "ms": 20 });
                client.send_call("e", "progress", endless, Some("t")).await;
                // The process, if it is one of its own, has begun with it.
                let progress = client.channel.message().await;
                assert_eq!(progress["params"]["progressToken"], "t", "{era} {sharing}");
                drop(client);
                let idle = async { while gateway.admin("status").await["inFlight"] != 0 {} };
                within("nothing is in flight", idle).await;
            }
            // One that stands by for the next call of a client does so for its time.
            let left = 1 + usize::from(sharing == "session");
            let gone = async { while sessions(&gateway).await.as_array().map(Vec::len) > Some(left) {} };
            within("the end of the sessions", gone).await;
            if let Some(before) = before {
                let is_told = |state: &Value| state["cancelled"].as_u64() == Some(before + 10);
                other.state_until("each is cancelled", is_told).await;
            }
            let now = || gateway.process().footprint().descriptors;
            eventually("descriptors", now, |now| *now <= descriptors + 8).await;
            drop(other);
            gateway.stop().await;
        }
    }
}

#[tokio::test]
async fn who_does_not_read_is_not_read_from_and_loses_nothing() {
    let gateway = Gateway::start(
        "[sessions]\noutbox-events-max = 4\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    // An answer is as long as its question.
    let long = |number: usize| {
        let arguments = json!({ "text": "x".repeat(200_000) });
        let params = json!({ "name": "echo", "arguments": arguments });
        request(number, "tools/call", params, &json!({})).to_string()
    };
    let sent = flood(&gateway, &mut client.channel, long).await;
    let mut answered: Vec<u64> = Vec::new();
    while answered.len() <= sent {
        let answer = client.channel.message().await;
        assert!(text_of(&answer).len() > 200_000);
        answered.push(answer["id"].as_u64().expect("a number"));
        client.channel.as_socket().flush().now_or_never();
    }
    answered.sort_unstable();
    assert!(answered.iter().copied().eq(0..=sent as u64), "{answered:?}");
    drop(client);
    gateway.stop().await;
}

/// A noisy request of a client that does not read loses notifications, not its answer, and nothing of the others.
#[tokio::test]
async fn noise_is_dropped_and_answers_are_not() {
    let gateway = Gateway::start(
        "[sessions]\noutbox-events-max = 4\n[servers.mock]\ncommand = \"@self\"\n\
         args = [\"mock-server\", \"--era\", \"modern\"]\n",
    );
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    let count = 50_000;
    client
        .send_call("n", "progress", json!({ "steps": count }), Some("t"))
        .await;
    client.send_call("e", "echo", json!({ "x": 1 }), None).await;
    let idle = async { while gateway.admin("status").await["inFlight"] != 0 {} };
    within("both are over for the server", idle).await;
    let (mut answers, mut last) = (Vec::new(), 0.0);
    while answers.len() < 2 {
        let message = client.channel.message().await;
        if message.get("method").is_none() {
            answers.push(message["id"].clone());
        } else {
            let progress = message["params"]["progress"].as_f64().expect("a number");
            assert!(progress > last, "in order: {last} {message}");
            last = progress;
        }
    }
    answers.sort_by_key(Value::to_string);
    assert_eq!(answers, ["e", "n"]);
    let echoed = client.call("echo", json!({ "text": "on" })).await;
    assert!(text_of(&echoed).contains("on"));
    drop(client);
    gateway.stop().await;
}
