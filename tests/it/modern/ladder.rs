//! What a request must say, and what it is told if it does not (2026-07-28, "Streamable HTTP").

use serde_json::{Value, json};

use super::client::{Client, VERSION, gateway};

const META: &str = "io.modelcontextprotocol";

/// Makes a request wrong: its body and its headers.
type Change<'a> = dyn Fn(&mut Value, &mut Vec<(String, String)>) + 'a;

#[tokio::test]
async fn each_rung_has_its_status_and_code() {
    let gateway = gateway("both", "");
    let client = Client::of(&gateway, "mock", json!({}));
    let check = async |change: &Change<'_>, status: u16, code: i64| {
        let (mut body, mut headers) = client.request(
            json!("one"),
            "tools/call",
            json!({ "name": "echo", "arguments": {} }),
        );
        change(&mut body, &mut headers);
        let answer = client.send(&body, &headers).await;
        let seen = answer.status().as_u16();
        let message = answer.json().await;
        assert_eq!(
            (seen, &message["error"]["code"]),
            (status, &json!(code)),
            "{body} {headers:?}: {message}"
        );
        assert_eq!(message["id"], "one");
        message
    };
    let without = |key: &'static str| {
        move |body: &mut Value, _: &mut Vec<_>| drop(meta(body).remove(&format!("{META}/{key}")))
    };
    check(&without("protocolVersion"), 400, -32602).await;
    check(&without("clientCapabilities"), 400, -32602).await;
    check(&|body, _| body["params"]["_meta"] = json!(1), 400, -32602).await;
    check(&|_, headers| headers[0].1 = "2025-11-25".into(), 400, -32020).await;
    let unknown = check(
        &|body, headers| {
            meta(body).insert(format!("{META}/protocolVersion"), json!("v999.0.0"));
            headers[0].1 = "v999.0.0".into();
        },
        400,
        -32022,
    )
    .await;
    assert_eq!(
        unknown["error"]["data"],
        json!({ "supported": [VERSION], "requested": "v999.0.0" })
    );
    check(&|_, headers| drop(headers.remove(1)), 400, -32020).await;
    check(&|_, headers| headers[1].1 = "TOOLS/CALL".into(), 400, -32020).await;
    check(
        &|_, headers| headers.push(("mcp-method".into(), "tools/call".into())),
        400,
        -32020,
    )
    .await;
    check(&|_, headers| drop(headers.pop()), 400, -32020).await;
    check(&|_, headers| headers[2].1 = "other".into(), 400, -32020).await;
    check(&|_, headers| headers[2].1 = "=?base64?!?=".into(), 400, -32020).await;
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "no/such",
    ] {
        let renamed = |body: &mut Value, headers: &mut Vec<(String, String)>| {
            body["method"] = json!(method);
            headers[1].1 = method.into();
            headers.truncate(2);
        };
        check(&renamed, 404, -32601).await;
    }
    gateway.stop().await;
}

/// A header that mirrors the method proves nothing: clients of either era may send it.
#[tokio::test]
async fn the_version_decides_the_era_and_the_method_header_does_not() {
    let gateway = gateway("both", "");
    let client = Client::of(&gateway, "mock", json!({}));
    let headers = |method: &str, version: &str| {
        [("mcp-method", method), ("mcp-protocol-version", version)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let info = json!({ "name": "it", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
    let opening = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
    let opened = client.send(&opening, &headers("initialize", "2025-11-25")).await;
    assert!(opened.header("mcp-session-id").is_some());
    assert_eq!(opened.json().await["result"]["protocolVersion"], "2025-11-25");
    let plain = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let (modern, _) = client.request(json!(1), "tools/list", json!({}));
    for (body, headers, code) in [
        (&plain, &headers("tools/list", VERSION)[..], -32602),
        (&modern, &[], -32020),
    ] {
        let answer = client.send(body, headers).await;
        assert_eq!(answer.status(), 400, "{body}");
        let answer = answer.json().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn names_may_be_encoded_and_space_does_not_count() {
    let gateway = gateway("both", "");
    let client = Client::of(&gateway, "mock", json!({}));
    for name in ["=?base64?ZWNobw==?=", " echo\t"] {
        let (body, mut headers) =
            client.request(json!(1), "tools/call", json!({ "name": "echo", "arguments": {} }));
        headers[2].1 = name.into();
        assert_eq!(client.send(&body, &headers).await.status(), 200, "{name}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn mirrored_arguments_are_held_to_the_body() {
    let gateway = gateway("both", "");
    let client = Client::of(&gateway, "mock", json!({}));
    let (_, tools) = client.ask("tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    let tool = tools
        .iter()
        .find(|tool| tool["name"] == "regional")
        .expect("the mock has it");
    assert!(tool["inputSchema"].to_string().contains("x-mcp-header"), "{tool}");
    let arguments = json!({ "region": "us-west1" });
    let send = async |header: Option<&str>| {
        let params = json!({ "name": tool["name"], "arguments": arguments });
        let (body, mut headers) = client.request(json!(1), "tools/call", params);
        headers.extend(header.map(|value| ("mcp-param-region".to_owned(), value.to_owned())));
        let answer = client.send(&body, &headers).await;
        let status = answer.status().as_u16();
        let answer = answer.json().await;
        assert_eq!(status == 200, answer.get("error").is_none(), "{answer}");
        (status, answer["error"]["code"].clone())
    };
    assert_eq!(send(Some("us-west1")).await, (200, Value::Null));
    assert_eq!(send(Some("=?base64?dXMtd2VzdDE=?=")).await, (200, Value::Null));
    assert_eq!(send(Some("eu")).await, (400, json!(-32020)));
    assert_eq!(send(None).await, (400, json!(-32020)));
    gateway.stop().await;
}

fn meta(body: &mut Value) -> &mut serde_json::Map<String, Value> {
    body["params"]["_meta"].as_object_mut().expect("an object")
}
