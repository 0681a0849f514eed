//! What clients and servers say to each other, on every kind of channel.

use serde_json::{Value, json};

use super::ends::{Kind, LATEST, gateway, gateway_with};
use crate::support::{Channel, text_of};

fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params })
}

fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    request(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

async fn state(channel: &mut Channel) -> Value {
    let answer = channel.call("state", json!({})).await;
    serde_json::from_str(text_of(&answer)).expect("the state is JSON")
}

/// Asks as often as it takes: what a notification does is not announced.
async fn state_until(channel: &mut Channel, accept: impl Fn(&Value) -> bool) {
    crate::support::within("the state", async { while !accept(&state(channel).await) {} }).await;
}

#[tokio::test]
async fn lists_calls_and_progress() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        let opened = channel.open(LATEST, json!({})).await;
        assert_eq!(opened["result"]["protocolVersion"], LATEST, "{kind:?} {opened}");
        let listed = channel.ask(&request(1, "tools/list", json!({}))).await;
        assert!(
            listed[0]["result"]["tools"].to_string().contains("\"echo\""),
            "{kind:?}"
        );
        let text = "a \u{1f980} and \u{e9}".repeat(100_000);
        let echoed = channel.call("echo", json!({ "text": text })).await;
        assert!(text_of(&echoed).contains(&text), "{kind:?}: long and not ASCII");
        let params =
            json!({ "name": "progress", "arguments": { "steps": 100 }, "_meta": { "progressToken": "t" } });
        let messages = channel.ask(&request("p", "tools/call", params)).await;
        let steps: Vec<_> = messages
            .iter()
            .filter_map(|message| message["params"]["progress"].as_f64())
            .collect();
        assert!(steps.len() == 100 && steps.is_sorted(), "{kind:?}: {steps:?}");
        assert_eq!(
            (messages.len(), &messages[0]["params"]["progressToken"]),
            (101, &json!("t"))
        );
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_server_asks_its_client() {
    let gateway = gateway();
    let able = json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } });
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open(LATEST, able.clone()).await;
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
            channel.say(&call("q", "ask", json!({ "method": method }))).await;
            let question = channel.message().await;
            assert_eq!(question["method"], method, "{kind:?} {question}");
            channel
                .say(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": answer }))
                .await;
            let answer = channel.message().await;
            assert_eq!(
                (&answer["id"], text_of(&answer)),
                (&json!("q"), expected),
                "{kind:?}"
            );
        }
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn logs_updates_and_changed_lists_come_by_themselves() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open(LATEST, json!({})).await;
        let uri = json!({ "uri": "test://watched-resource" });
        for (method, params) in [
            ("logging/setLevel", json!({ "level": "error" })),
            ("resources/subscribe", uri.clone()),
        ] {
            let answer = channel.ask(&request(1, method, params)).await;
            assert_eq!(answer[0]["result"], json!({}), "{kind:?} {answer:?}");
        }
        let methods = |messages: &[Value]| -> Vec<String> {
            let methods = messages.iter().filter_map(|message| message["method"].as_str());
            methods.map(str::to_owned).collect()
        };
        for (tool, arguments, expected) in [
            ("log", json!({ "text": "x", "level": "info" }), &[][..]),
            (
                "log",
                json!({ "text": "x", "level": "error" }),
                &["notifications/message"],
            ),
            ("touch", uri.clone(), &["notifications/resources/updated"]),
            (
                "change",
                json!({ "kind": "tools" }),
                &["notifications/tools/list_changed"],
            ),
        ] {
            let mut messages = channel.ask(&call(2, tool, arguments)).await;
            // Over HTTP it may come by another stream, after the answer.
            while kind == Kind::Bridge && methods(&messages).len() < expected.len() {
                messages.push(channel.message().await);
            }
            assert_eq!(methods(&messages), expected, "{kind:?} {tool}");
        }
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_is_taken_back_and_others_go_on() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open(LATEST, json!({})).await;
        let endless = json!({ "name": "progress", "arguments": { "steps": 100_000, "ms": 20 }, "_meta": { "progressToken": "h" } });
        channel.say(&request("h", "tools/call", endless)).await;
        channel.message().await;
        let params = json!({ "requestId": "h", "reason": "enough" });
        channel
            .say(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }))
            .await;
        state_until(&mut channel, |state| state["cancelled"] == 1).await;
        let messages = channel.ask(&request("p", "ping", json!({}))).await;
        let answered = messages.iter().any(|message| message["id"] == "h");
        assert!(
            !answered,
            "{kind:?}: what was taken back has no answer: {messages:?}"
        );
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn each_request_has_its_answer_whatever_its_id() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open(LATEST, json!({})).await;
        let ids = [
            json!(1),
            json!("1"),
            json!(-7),
            json!(9_007_199_254_740_991_i64),
            json!(1),
            json!(""),
        ];
        for (number, id) in ids.iter().enumerate() {
            let ms = 50 - 10 * number.min(5);
            channel.say(&call(id.clone(), "sleep", json!({ "ms": ms }))).await;
        }
        let mut answered = Vec::new();
        for _ in &ids {
            let answer = channel.message().await;
            assert!(answer.get("result").is_some(), "{kind:?} {answer}");
            answered.push(answer["id"].to_string());
        }
        let mut expected: Vec<String> = ids.iter().map(Value::to_string).collect();
        expected.sort();
        answered.sort();
        assert_eq!(answered, expected, "{kind:?}");
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_session_goes_on() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        let early = channel.ask(&request(1, "tools/list", json!({}))).await;
        assert_eq!(
            early[0]["error"]["code"], -32600,
            "{kind:?}: before initialize: {early:?}"
        );
        channel.open(LATEST, json!({})).await;
        for (text, code, id) in [
            ("{", -32700, Value::Null),
            ("nonsense", -32700, Value::Null),
            (r#"{"id":1}"#, -32600, json!(1)),
            (
                r#"{"jsonrpc":"2.0","id":2,"id":3,"method":"ping"}"#,
                -32600,
                Value::Null,
            ),
            (
                r#"[{"jsonrpc":"2.0","id":4,"method":"ping"}]"#,
                -32600,
                Value::Null,
            ),
        ] {
            channel.send(text).await;
            let answer = channel.message().await;
            assert_eq!(
                (&answer["error"]["code"], &answer["id"]),
                (&json!(code), &id),
                "{kind:?} {text}: {answer}"
            );
        }
        let again = channel.open(LATEST, json!({})).await;
        assert_eq!(again["error"]["code"], -32600, "{kind:?}: {again}");
        assert!(text_of(&channel.call("echo", json!({ "text": "on" })).await).contains("on"));
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn batches_are_of_2025_03_26_alone() {
    let gateway = gateway_with("[requests]\nbatch-max = 3", "");
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open("2025-03-26", json!({})).await;
        let batch = |count: usize| json!(vec![request(7, "ping", json!({})); count]);
        channel.say(&batch(3)).await;
        for _ in 0..3 {
            assert_eq!(
                channel.message().await,
                json!({ "jsonrpc": "2.0", "id": 7, "result": {} })
            );
        }
        channel.say(&batch(4)).await;
        assert_eq!(channel.message().await["error"]["code"], -32600, "{kind:?}");
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn who_sends_everything_at_once_is_served_in_order() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        let info = json!({ "name": "it", "version": "1" });
        let params = json!({ "protocolVersion": LATEST, "capabilities": {}, "clientInfo": info });
        channel.say(&request(0, "initialize", params)).await;
        channel
            .say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        channel.say(&call(1, "echo", json!({ "text": "first" }))).await;
        if kind != Kind::Socket {
            channel.close_input().await;
        }
        assert!(
            channel.message().await["result"]["capabilities"].is_object(),
            "{kind:?}"
        );
        assert!(text_of(&channel.message().await).contains("first"), "{kind:?}");
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_crash_of_the_server_is_an_answer_and_no_end() {
    let gateway = gateway();
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open(LATEST, json!({})).await;
        channel.say(&call("h", "hang", json!({}))).await;
        let messages = channel.ask(&call("c", "crash", json!({}))).await;
        let mut messages = [messages, vec![]].concat();
        while messages.len() < 2 {
            messages.push(channel.message().await);
        }
        for answer in &messages {
            assert_eq!(answer["error"]["data"]["reason"], "ended", "{kind:?} {answer}");
        }
        assert!(text_of(&channel.call("echo", json!({ "text": "up" })).await).contains("up"));
        channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_burst_loses_nothing_for_a_client_that_reads() {
    let gateway = gateway_with("[sessions]\noutbox-events-max = 8", "");
    for kind in Kind::ALL {
        let mut channel = kind.connect(&gateway).await;
        channel.open(LATEST, json!({})).await;
        let before = channel
            .ask(&call(1, "notify", json!({ "count": 5_000 })))
            .await
            .len();
        assert!(
            before == 5_001 || kind == Kind::Bridge,
            "{kind:?}: the answer comes last"
        );
        // Over HTTP they may have come by two streams.
        for _ in before..5_001 {
            assert!(channel.message().await["method"].is_string());
        }
        channel.end().await;
    }
    gateway.stop().await;
}
