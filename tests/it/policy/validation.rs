//! Validation on the path: what it refuses, what it changes, and how its own failure looks.

use serde_json::{Value, json};

use super::door::{Door, Visitor, message};
use crate::support::Guarded;
use crate::support::text_of;

fn guarded(settings: &str, config: &str) -> Guarded {
    let server = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n";
    // Schemas are checked on a thread, which a busy machine may not start at once.
    let plugin = format!(
        "[[plugins]]\nname = \"message-validation\"\ngrant = {{ schema = true }}\ntimeout = \"1m\"\n{settings}\n[plugins.config]\n{config}\n"
    );
    Guarded::start(&["message-validation"], "", &format!("{server}{plugin}"))
}

fn echo(text: &str) -> String {
    let arguments = json!({ "text": text });
    format!(r#""method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}"#)
}

async fn answer(visitor: &mut Visitor<'_>, request: &str) -> Value {
    visitor.ask(request).await.pop().expect("an answer")
}

#[tokio::test]
async fn an_argument_is_refused_and_a_result_redacted() {
    let config = "arguments = [{ tool = \"echo\", pointer = \"/text\", deny = [\"*evil*\"] }]\nredact = [{ pattern = \"s3cr[a-z]+\" }]";
    let guarded = guarded("", config);
    for door in Door::ALL {
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        let refused = answer(&mut visitor, &echo("an evil text")).await;
        assert_eq!(refused["error"]["code"], -32602, "{door:?} {refused}");
        let redacted = answer(&mut visitor, &echo("a s3cret text")).await;
        let text = text_of(&redacted);
        assert!(
            text.contains("[redacted]") && !text.contains("s3cret"),
            "{door:?} {text}"
        );
        let untouched = answer(&mut visitor, &echo("a text")).await;
        assert!(text_of(&untouched).contains("a text"), "{door:?} {untouched}");
    }
}

#[tokio::test]
async fn arguments_are_held_to_the_schema_of_their_tool_from_the_first_request_on() {
    for door in Door::ALL {
        let guarded = guarded("", "validate-arguments = true");
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        let wrong = r#""method":"tools/call","params":{"name":"sleep","arguments":{"ms":"long"}}"#;
        let refused = answer(&mut visitor, wrong).await;
        assert_eq!(refused["error"]["code"], -32602, "{door:?} {refused}");
        let right = r#""method":"tools/call","params":{"name":"sleep","arguments":{"ms":0}}"#;
        let done = answer(&mut visitor, right).await;
        assert!(done.get("result").is_some(), "{door:?} {done}");
    }
}

#[tokio::test]
async fn a_policy_that_breaks_does_not_look_like_one_that_says_no() {
    let guarded = guarded("output-max = \"1KiB\"", "redact = [{ pattern = \"s3cret\" }]");
    // Fewer failures than open the breaker.
    for door in [Door::Streamable, Door::Sse, Door::Socket, Door::OneShot] {
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        // What it makes of the text is more than it may answer.
        let broken = answer(&mut visitor, &echo(&format!("s3cret {}", "x".repeat(4000)))).await;
        let error = &broken["error"];
        assert_eq!(error["code"], -32050, "{door:?} {broken}");
        assert_eq!(error["data"]["plugin"], "message-validation", "{door:?} {broken}");
        assert_eq!(error["data"]["kind"], "bad-decision", "{door:?} {broken}");
        assert!(!broken.to_string().contains("s3cret"), "{door:?}");
        let fine = answer(&mut visitor, &echo("a text")).await;
        assert!(text_of(&fine).contains("a text"), "{door:?} {fine}");
    }
}

#[tokio::test]
async fn what_a_client_answers_is_validated_too() {
    let server = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"session\"\n";
    let plugin = "[[plugins]]\nname = \"message-validation\"\ngrant = { schema = true }\n[plugins.config]\nmax-size = 1000\n";
    let guarded = Guarded::start(&["message-validation"], "", &format!("{server}{plugin}"));
    let able = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
    let (mut visitor, _) = Visitor::enter(&guarded.gateway, Door::Streamable, able).await;
    let text = |size: usize| json!({ "type": "text", "text": "x".repeat(size) });
    let answers = [
        (
            "sampling/createMessage",
            json!({ "role": "assistant", "model": "m", "content": text(2000) }),
            json!({ "role": "assistant", "model": "m", "content": text(20) }),
        ),
        (
            "elicitation/create",
            json!({ "action": "accept", "content": { "answer": "x".repeat(2000) } }),
            json!({ "action": "accept", "content": { "answer": "xxxxxxxx" } }),
        ),
        (
            "roots/list",
            json!({ "roots": [{ "uri": format!("file:///{}", "x".repeat(2000)) }] }),
            json!({ "roots": [{ "uri": "file:///xxxxxxxx" }] }),
        ),
    ];
    for (method, long, short) in answers {
        for (result, is_refused) in [(long, true), (short, false)] {
            let asking = format!(
                r#""method":"tools/call","params":{{"name":"ask","arguments":{{"method":"{method}"}}}}"#
            );
            let (mut events, _connection) = visitor.begin(&asking).await;
            let question = message(&mut events).await;
            assert_eq!(question["method"], method, "{question}");
            visitor
                .tell(&format!(r#""id":{},"result":{result}"#, question["id"]))
                .await;
            let answer = message(&mut events).await;
            let heard = text_of(&answer);
            assert_eq!(heard.contains("failed: "), is_refused, "{method}: {answer}");
            assert_eq!(heard.contains("xxxxxxxx"), !is_refused, "{method}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_the_gateway_says_for_a_server_is_redacted_like_its_own_words() {
    let server = "[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\nautostart = true\nvalidate-arguments = \"enforce\"\n";
    let plugin = "[[plugins]]\nname = \"message-validation\"\ngrant = { schema = true }\n[plugins.config]\nredact = [{ pattern = \"s3cret\" }]\n";
    let guarded = Guarded::start(&["message-validation"], "", &format!("{server}{plugin}"));
    for door in Door::ALL {
        let (mut visitor, _) = Visitor::enter(&guarded.gateway, door, json!({})).await;
        let wrong = r#""method":"tools/call","params":{"name":"sleep","arguments":{"ms":"s3cret"}}"#;
        let refused = answer(&mut visitor, wrong).await;
        assert_eq!(refused["result"]["isError"], true, "{door:?} {refused}");
        let text = text_of(&refused);
        assert!(
            text.contains("[redacted]") && !text.contains("s3cret"),
            "{door:?} {text}"
        );
    }
}
