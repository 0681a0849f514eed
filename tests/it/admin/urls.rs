//! Remote servers through the API: only where the configuration allows it, and without their secrets.

use http::{Method, StatusCode};
use serde_json::json;

use super::operator::Operator;
use crate::support::Gateway;

const SERVERS: &str = "[servers.far]\nurl = \"https://me:secret1@far.example/mcp?key=secret2\"\n\
                       headers = { Authorization-Extra = \"secret3\" }\n[servers.near]\ncommand = \"x\"\n";

#[tokio::test]
async fn each_kind_of_server_needs_its_own_permission() {
    for (allowed, commands, urls) in [
        ("", 403, 403),
        ("admin.allow-commands = true\n", 201, 403),
        ("admin.allow-urls = true\n", 403, 201),
        ("admin.allow-commands = true\nadmin.allow-urls = true\n", 201, 201),
    ] {
        let gateway = Gateway::start(&format!("{allowed}{SERVERS}"));
        let operator = Operator::of(&gateway).await;
        let register = async |body| operator.request(Method::POST, "/servers", Some(body)).await;
        let (status, _) = register(json!({ "name": "c", "command": "x" })).await;
        assert_eq!(status, commands, "{allowed}");
        let (status, answer) =
            register(json!({ "name": "u", "url": "http://169.254.169.254/", "headers": { "A": "secret4" } }))
                .await;
        assert_eq!(status, urls, "{allowed} {answer}");
        assert!(!answer.to_string().contains("secret4"), "{answer}");
        if urls == 403 && commands == 201 {
            assert_eq!(answer["error"]["code"], "urls_not_allowed");
        }
        // A patch needs the permission for what it makes of the server.
        let patch = async |name: &str, body| {
            let (status, _) = operator
                .request(Method::PATCH, &format!("/servers/{name}"), Some(body))
                .await;
            status
        };
        let expect = |status: u16| if status == 201 { 200 } else { status };
        assert_eq!(
            patch("far", json!({ "url": "https://far.example/other" })).await,
            expect(urls),
            "{allowed}"
        );
        assert_eq!(
            patch("near", json!({ "command": null, "url": "http://x/" })).await,
            expect(urls),
            "{allowed}"
        );
        assert_eq!(
            patch("near", json!({ "url": null, "command": "y" })).await,
            expect(commands),
            "{allowed}"
        );
        assert_eq!(
            patch("far", json!({ "displayName": "Far" })).await,
            StatusCode::OK,
            "that is no other place"
        );
        gateway.stop().await;
    }
}

#[tokio::test]
async fn secrets_of_a_remote_server_are_shown_nowhere_and_go_nowhere_else() {
    let gateway = Gateway::start(&format!("admin.allow-urls = true\n{SERVERS}"));
    let operator = Operator::of(&gateway).await;
    let shown = operator.get("/servers/far").await["config"].clone();
    assert_eq!(shown["url"], "https://***@far.example/mcp?***");
    assert_eq!(shown["headers"], json!({ "Authorization-Extra": "***" }));
    let mut seen = String::new();
    for path in ["/servers", "/servers/far", "/servers/far/stderr", "/status"] {
        seen += &operator.get(path).await.to_string();
    }
    let (status, answer) = operator
        .request(
            Method::PATCH,
            "/servers/far",
            Some(json!({ "displayName": "A", "url": shown["url"], "headers": shown["headers"] })),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "what is shown can be sent back: {answer}");
    let (status, answer) = operator
        .request(
            Method::PATCH,
            "/servers/far",
            Some(json!({ "url": "https://evil.example/" })),
        )
        .await;
    assert_eq!(
        (status, &answer["config"]["headers"]),
        (StatusCode::OK, &json!({})),
        "{answer}"
    );
    seen += &format!("{answer}{}", gateway.output());
    assert!(!seen.contains("secret"), "{seen}");
    gateway.stop().await;
}
