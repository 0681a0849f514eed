//! What clients without a handshake say, on every kind of channel, with servers of either era behind it.

use serde_json::{Value, json};

use super::ends::{Kind, gateway_with, of_era};
use super::speaker::{ERAS, Speaker, VERSION, again, request};
use crate::support::{Gateway, text_of, within};

#[tokio::test]
async fn discovers_lists_and_calls() {
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            let found = client.answer("server/discover", json!({})).await;
            let found = &found["result"];
            assert_eq!(
                (&found["resultType"], &found["supportedVersions"]),
                (&json!("complete"), &json!([VERSION])),
                "{kind:?} {era}: {found}"
            );
            let listed = client.answer("tools/list", json!({})).await;
            assert!(listed["result"]["tools"].to_string().contains("\"echo\""));
            assert!(listed["result"]["ttlMs"].is_u64(), "{kind:?} {era}: {listed}");
            let text = "a \u{1f980} and \u{e9}".repeat(100_000);
            let echoed = client.call("echo", json!({ "text": text })).await;
            assert!(text_of(&echoed).contains(&text), "{kind:?}: long and not ASCII");
            assert_eq!(echoed["result"]["resultType"], "complete");
            let missing = client
                .answer("resources/read", json!({ "uri": "test://nope" }))
                .await;
            let error = &missing["error"];
            assert_eq!(
                (&error["code"], &error["data"]["uri"]),
                (&json!(-32602), &json!("test://nope")),
                "{kind:?} {era}: {missing}"
            );
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn each_of_many_requests_has_its_progress_and_its_answer() {
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            let count = 20;
            for number in 0..count {
                let token = format!("token {number}");
                let arguments = json!({ "steps": number, "ms": 1 });
                // An id, and the same as text, are two.
                let id = match number % 2 {
                    0 => json!(number),
                    _ => json!((number - 1).to_string()),
                };
                client.send_call(id, "progress", arguments, Some(&token)).await;
            }
            let (mut steps, mut answered) = (vec![0; count], 0);
            while answered < count {
                let message = client.channel.message().await;
                if message.get("method").is_none() {
                    let number = match &message["id"] {
                        Value::String(text) => text.parse::<usize>().expect("a number") + 1,
                        id => usize::try_from(id.as_u64().expect("a number")).expect("a small one"),
                    };
                    assert_eq!(
                        text_of(&message),
                        format!("made {number} steps"),
                        "{kind:?} {era}"
                    );
                    assert_eq!(steps[number], number, "{kind:?} {era}: the answer comes last");
                    answered += 1;
                } else {
                    let token = message["params"]["progressToken"].as_str().expect("a token");
                    let number = token.strip_prefix("token ").and_then(|text| text.parse().ok());
                    let number: usize = number.unwrap_or_else(|| panic!("{message}"));
                    steps[number] += 1;
                    let progress = message["params"]["progress"].as_f64();
                    assert_eq!(progress.map(|progress| progress > 0.0), Some(true), "{message}");
                }
            }
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn log_messages_come_to_those_who_ask_for_them() {
    for era in ERAS {
        let gateway = of_era(era, "sharing = \"session\"");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            for (level, expect) in [(Some("info"), 3), (None, 0)] {
                let mut params = json!({ "name": "test_tool_with_logging", "arguments": {} });
                if let Some(level) = level {
                    params["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
                }
                let messages = client.ask("tools/call", params).await;
                let logged = messages
                    .iter()
                    .filter(|one| one["method"] == "notifications/message");
                assert_eq!(logged.count(), expect, "{kind:?} {era} {level:?}: {messages:?}");
            }
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

/// The rungs that every transport has; those of headers are HTTP's.
#[tokio::test]
async fn each_rung_has_its_code() {
    let gateway = of_era("both", "");
    for kind in Kind::ALL {
        let mut client = Speaker::enter(kind, &gateway).await;
        let params = || json!({ "name": "echo", "arguments": {} });
        let key = |name: &str| format!("io.modelcontextprotocol/{name}");
        let whole = request("one", "tools/call", params(), &json!({}));
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut request = whole.clone();
            change(&mut request["params"]["_meta"]);
            request
        };
        let without =
            |name: &str| changed(&|meta| drop(meta.as_object_mut().expect("an object").remove(&key(name))));
        let mut rungs = vec![
            (without("protocolVersion"), -32602),
            (without("clientCapabilities"), -32602),
            (
                changed(&|meta| meta[key("clientCapabilities")] = json!([])),
                -32602,
            ),
            (
                changed(&|meta| meta[key("protocolVersion")] = json!("v999.0.0")),
                -32022,
            ),
        ];
        for method in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
            "no/such",
        ] {
            rungs.push((request("one", method, json!({}), &json!({})), -32601));
        }
        for (wrong, code) in rungs {
            client.channel.say(&wrong).await;
            let answer = client.channel.message().await;
            assert_eq!(
                (&answer["id"], &answer["error"]["code"]),
                (&json!("one"), &json!(code)),
                "{kind:?} {wrong}: {answer}"
            );
            if code == -32022 {
                let data = json!({ "supported": [VERSION], "requested": "v999.0.0" });
                assert_eq!(answer["error"]["data"], data, "{kind:?}");
            }
        }
        assert_eq!(
            text_of(&client.call("echo", json!({ "x": 1 })).await),
            "{\"x\":1}"
        );
        client.channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_is_taken_back_and_others_go_on() {
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            let mut cancelled = client.state().await["cancelled"].as_u64().expect("a number");
            for id in [json!("h"), json!(7)] {
                let endless = json!({ "steps": 20_000, "ms": 5 });
                client
                    .send_call(id.clone(), "progress", endless, Some("endless"))
                    .await;
                client.channel.message().await;
                client.cancel(id.clone()).await;
                cancelled += 1;
                let others = client
                    .state_until("it is cancelled", |state| state["cancelled"] == cancelled)
                    .await;
                assert!(
                    others.iter().all(|other| other["id"] != id),
                    "{kind:?} {era}: it has no answer"
                );
                let echoed = client.call("echo", json!({ "text": "on" })).await;
                assert!(text_of(&echoed).contains("on"), "{kind:?} {era}");
                // Its id is free.
                client
                    .send_call(id.clone(), "echo", json!({ "x": "again" }), None)
                    .await;
                let messages = client.channel.up_to(&id).await;
                let answer = messages.last().expect("an answer");
                assert!(text_of(answer).contains("again"), "{kind:?} {era}: {answer}");
            }
            client.channel.end().await;
            let idle = async { while gateway.admin("status").await["inFlight"] != 0 {} };
            within("nothing is in flight", idle).await;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn an_id_that_is_in_flight_is_refused_and_free_after_the_answer() {
    let gateway = of_era("modern", "");
    for kind in Kind::ALL {
        let mut client = Speaker::enter(kind, &gateway).await;
        client
            .send_call(1, "progress", json!({ "steps": 1_000, "ms": 20 }), Some("t"))
            .await;
        client.channel.message().await;
        client.send_call(1, "echo", json!({}), None).await;
        let messages = client.channel.up_to(&json!(1)).await;
        let refused = messages.last().expect("an answer");
        assert_eq!(refused["error"]["code"], -32600, "{kind:?}: {refused}");
        let text = refused["error"]["message"].as_str().expect("a text");
        assert!(text.contains("in flight already"), "{text}");
        client.cancel(1).await;
        for number in 0..100 {
            client.send_call(1, "echo", json!({ "x": number }), None).await;
            let messages = client.channel.up_to(&json!(1)).await;
            let answer = messages.last().expect("an answer");
            assert_eq!(text_of(answer), format!("{{\"x\":{number}}}"), "{kind:?}");
        }
        client.channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn too_many_at_once_are_refused_until_others_are_answered() {
    let gateway = gateway_with("[requests]\nin-flight-max = 3", "");
    for kind in [Kind::Socket, Kind::Pipes] {
        let mut client = Speaker::enter(kind, &gateway).await;
        for id in ["a", "b", "c"] {
            let arguments = json!({ "steps": 10_000, "ms": 20 });
            client.send_call(id, "progress", arguments, Some(id)).await;
        }
        client.send_call("d", "echo", json!({}), None).await;
        let refused = client.channel.up_to(&json!("d")).await.pop().expect("an answer");
        assert_eq!(refused["error"]["code"], -32004, "{kind:?}: {refused}");
        let text = refused["error"]["message"].as_str().expect("a text");
        assert!(text.contains("requests.in-flight-max"), "{text}");
        client.cancel("b").await;
        let echoed = client.call("echo", json!({ "x": "room" })).await;
        assert!(text_of(&echoed).contains("room"), "{kind:?}");
        for id in ["a", "c"] {
            client.cancel(id).await;
        }
        client.channel.end().await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_server_asks_its_client() {
    let capabilities = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let (tool, arguments) = ("test_sampling", json!({ "prompt": "capital?" }));
    let said = json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Paris" } });
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            client.capabilities = capabilities.clone();
            let asked = client.call(tool, arguments.clone()).await;
            let mut other = again(tool, &arguments, &asked, &said);
            other["requestState"] = json!("portcullis.forged");
            let refused = client.answer("tools/call", other).await;
            if era == "legacy" {
                assert_eq!(refused["error"]["code"], -32602, "{kind:?} {era}: {refused}");
            }
            let whole = again(tool, &arguments, &asked, &said);
            let answer = client.answer("tools/call", whole.clone()).await;
            assert_eq!(
                text_of(&answer),
                "LLM response: Paris",
                "{kind:?} {era}: {answer}"
            );
            if era == "legacy" {
                let twice = client.answer("tools/call", whole).await;
                assert_eq!(twice["error"]["code"], -32602, "{kind:?}: once only: {twice}");
            }
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

/// A suspended call is its client's, not its channel's.
#[tokio::test]
async fn a_call_that_asked_on_one_channel_goes_on_by_another() {
    let gateway = of_era("legacy", "");
    let (tool, arguments) = ("test_sampling", json!({ "prompt": "capital?" }));
    let said = json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Paris" } });
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    client.capabilities = json!({ "sampling": {} });
    let asked = client.call(tool, arguments.clone()).await;
    drop(client);
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    client.capabilities = json!({ "sampling": {} });
    let whole = again(tool, &arguments, &asked, &said);
    let answer = client.answer("tools/call", whole).await;
    assert_eq!(text_of(&answer), "LLM response: Paris", "{answer}");
    drop(client);
    gateway.stop().await;
}

#[tokio::test]
async fn a_suspended_call_that_nobody_goes_on_with_ends_and_leaves_nothing() {
    let gateway = Gateway::start(
        "[requests]\nsuspended-timeout = \"200ms\"\n[servers.mock]\ncommand = \"@self\"\n\
         args = [\"mock-server\", \"--era\", \"legacy\"]\n",
    );
    let mut client = Speaker::enter(Kind::Socket, &gateway).await;
    client.capabilities = json!({ "sampling": {} });
    let asked = client.call("test_sampling", json!({ "prompt": "x" })).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    drop(client);
    let nothing = async {
        loop {
            let status = gateway.admin("status").await;
            if status["inFlight"] == 0 && status["sessions"] == 0 {
                return;
            }
        }
    };
    within("its end", nothing).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_crash_of_the_server_is_an_answer_and_no_end() {
    for era in ERAS {
        let gateway = of_era(era, "backoff-initial = \"10ms\"");
        for kind in Kind::ALL {
            let mut client = Speaker::enter(kind, &gateway).await;
            let crashed = client.call("crash", json!({})).await;
            assert!(
                crashed["error"]["data"]["reason"].is_string(),
                "{kind:?} {era}: {crashed}"
            );
            let echoed = client.call("echo", json!({ "text": "up" })).await;
            assert!(text_of(&echoed).contains("up"), "{kind:?} {era}");
            client.channel.end().await;
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn who_sends_everything_at_once_and_leaves_is_answered() {
    for era in ERAS {
        let gateway = of_era(era, "");
        for kind in [Kind::Pipes, Kind::Bridge] {
            let mut client = Speaker::enter(kind, &gateway).await;
            client.send("d", "server/discover", json!({})).await;
            for number in 0..10 {
                client
                    .send_call(number, "echo", json!({ "x": number }), None)
                    .await;
            }
            client.channel.close_input().await;
            let mut answered = Vec::new();
            while let Some(message) = client.channel.hear().await {
                assert!(message.get("result").is_some(), "{kind:?} {era}: {message}");
                answered.push(message["id"].to_string());
            }
            answered.sort();
            let mut expected: Vec<String> = (0..10).map(|number| number.to_string()).collect();
            expected.insert(0, "\"d\"".to_owned());
            assert_eq!(answered, expected, "{kind:?} {era}");
            let status = client.channel.ended().await.expect("it is a process");
            assert!(status.success(), "{status}");
        }
        gateway.stop().await;
    }
}

/// A route has a server for each request, not one for the channel.
#[tokio::test]
async fn a_route_serves_each_request_at_a_server_that_is_there() {
    let server = |name: &str| {
        format!("[servers.{name}]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n")
    };
    let route = "[routes.both]\nservers = [{ server = \"one\" }, { server = \"two\" }]\n";
    let gateway = Gateway::start(&[server("one"), server("two"), route.to_owned()].concat());
    let channel = crate::support::Channel::socket(&gateway, "/mcp/both").await;
    let mut client = Speaker::on(channel, json!({}));
    let first = client.call("pid", json!({})).await;
    assert!(!text_of(&first).is_empty());
    // The channel's session is with the first, and ends with it; so the other one goes.
    gateway.order(http::Method::POST, "servers/two/disable").await;
    let second = client.call("pid", json!({})).await;
    assert!(!text_of(&second).is_empty());
    drop(client);
    gateway.stop().await;
}
