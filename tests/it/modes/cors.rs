//! Web pages that choose a mode.

use bytes::Bytes;
use http::{Method, StatusCode};

use super::caller::{ALICE, gateway};
use crate::support::Connection;

const PAGE: (&str, &str) = ("origin", "http://localhost:3000");

#[tokio::test]
async fn a_page_may_send_the_header_that_chooses() {
    let guarded = gateway("", "mode-header = true");
    let bearer = format!("Bearer {ALICE}");
    for path in ["/mcp/mock", "/modes/code/mcp/mock"] {
        let mut connection = Connection::open(guarded.gateway.address()).await;
        let asked = [
            PAGE,
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,x-portcullis-mode",
            ),
        ];
        let answer = connection.send(Method::OPTIONS, path, &asked, Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE.1));
        let allowed = answer.header("access-control-allow-headers").unwrap_or_default();
        let names: Vec<String> = allowed
            .split(',')
            .map(|name| name.trim().to_lowercase())
            .collect();
        for name in ["x-portcullis-mode", "authorization"] {
            assert!(names.iter().any(|allowed| allowed == name), "{path}: {allowed}");
        }
    }
    for (mode, status) in [("code", StatusCode::OK), ("admin", StatusCode::FORBIDDEN)] {
        let mut connection = Connection::open(guarded.gateway.address()).await;
        let headers = [
            PAGE,
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("authorization", bearer.as_str()),
            ("x-portcullis-mode", mode),
        ];
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let answer = connection
            .send(Method::POST, "/mcp/mock", &headers, body.into())
            .await;
        assert_eq!(answer.status(), status, "{mode}");
    }
    let mut connection = Connection::open(guarded.gateway.address()).await;
    let foreign = [("origin", "http://evil.example")];
    let answer = connection
        .send(Method::OPTIONS, "/mcp/mock", &foreign, Bytes::new())
        .await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.header("access-control-allow-headers"), None);
}
