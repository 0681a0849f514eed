//! Who is let in, and where.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::operator::Operator;
use crate::support::{Connection, Gateway};

/// An answer that was read whole.
struct Read {
    status: u16,
    headers: http::HeaderMap,
    code: String,
}

impl Read {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

async fn send(address: SocketAddr, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Read {
    let mut connection = Connection::open(address).await;
    let body = Bytes::from(body.to_owned());
    let answer = connection.send(method, path, headers, body).await;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body: Value = serde_json::from_slice(&answer.bytes().await).unwrap_or_default();
    Read {
        status,
        headers,
        code: body["error"]["code"].as_str().unwrap_or_default().to_owned(),
    }
}

/// A request with its headers and body, and the status and code that it is expected to get.
type Case<'a> = (Method, &'a [(&'a str, &'a str)], &'a str, (u16, &'a str));

/// Sends requests to the list of servers and checks status and code of each answer.
async fn check_all(address: SocketAddr, requests: &[Case<'_>]) {
    for (method, headers, body, expect) in requests {
        let answer = send(address, method.clone(), "/admin/v1/servers", headers, body).await;
        let seen = (answer.status, answer.code.as_str());
        assert_eq!(seen, *expect, "{method} {headers:?} {body:.80}");
    }
}

#[tokio::test]
async fn only_with_the_token_and_from_no_other_page() {
    let gateway = Gateway::start("http.allowed-origins = [\"http://app.example\"]\n");
    let state = gateway.directory().join("state");
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!((mode(&state.join("admin-token")), mode(&state)), (0o600, 0o700));
    let operator = Operator::of(&gateway).await;
    let bearer = format!("Bearer {}", operator.token());
    let wrong = format!("{bearer}0");
    let token = ("authorization", bearer.as_str());
    let no_token = (401, "unauthorized");
    let foreign = (403, "origin_not_allowed");
    let get = || Method::GET;
    check_all(
        gateway.address(),
        &[
            (get(), &[token], "", (200, "")),
            (get(), &[], "", no_token),
            (get(), &[("authorization", &wrong)], "", no_token),
            (get(), &[token, ("origin", "http://evil.example")], "", foreign),
            // Allowed for MCP, and still foreign here; so is any other port of this machine.
            (get(), &[token, ("origin", "http://app.example")], "", foreign),
            (get(), &[token, ("origin", "http://localhost:1")], "", foreign),
            (Method::PUT, &[token], "", (405, "method_not_allowed")),
            (Method::OPTIONS, &[token], "", (405, "method_not_allowed")),
        ],
    )
    .await;
}

#[tokio::test]
async fn only_json_is_read() {
    let gateway = Gateway::start("http.body-max = \"64KiB\"\n");
    let operator = Operator::of(&gateway).await;
    let bearer = format!("Bearer {}", operator.token());
    let token = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let (not_json, bad) = ((415, "unsupported_media_type"), (400, "bad_request"));
    let post = || Method::POST;
    check_all(
        gateway.address(),
        &[
            (post(), &[token], "{}", not_json),
            (post(), &[token, json], "", bad),
            (post(), &[token, json], "{", bad),
            (post(), &[token, json], "[1]", bad),
            (post(), &[token, json], "{\"name\":\"a\",\"name\":\"b\"}", bad),
            (Method::GET, &[token, json], "{\"a\":1}", bad),
            (
                post(),
                &[token, json],
                &" ".repeat(65 * 1024),
                (413, "body_too_large"),
            ),
        ],
    )
    .await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch+json",
    ] {
        let headers = [token, ("content-type", kind)];
        let requests = [
            (post(), &headers[..], "{}", not_json),
            (post(), &headers[..], "", not_json),
        ];
        check_all(gateway.address(), &requests).await;
    }
}

#[tokio::test]
async fn what_an_answer_tells_beyond_its_body() {
    let gateway = Gateway::start("");
    let operator = Operator::of(&gateway).await;
    let bearer = format!("Bearer {}", operator.token());
    let token = ("authorization", bearer.as_str());
    let (address, servers) = (gateway.address(), "/admin/v1/servers");

    let unauthorized = send(address, Method::GET, servers, &[], "").await;
    assert_eq!(unauthorized.header("www-authenticate"), Some("Bearer"));
    let not_allowed = send(address, Method::PUT, servers, &[token], "").await;
    assert_eq!(not_allowed.header("allow"), Some("GET, POST"));
    let own = format!("http://{address}");
    let same_page = send(address, Method::GET, servers, &[token, ("origin", &own)], "").await;
    assert_eq!(same_page.status, 200);
    assert_eq!(
        same_page.header("access-control-allow-origin"),
        None,
        "no CORS here"
    );
    assert_eq!(same_page.header("cache-control"), Some("no-store"));
    let nothing = send(address, Method::GET, "/admin/v1/nothing", &[token], "").await;
    assert_eq!((nothing.status, nothing.code.as_str()), (404, "not_found"));
    let hidden = send(address, Method::GET, "/admin/v1/nothing", &[], "").await;
    assert_eq!(hidden.status, 401, "without the token not even that is said");
}

#[tokio::test]
async fn another_host_is_refused() {
    let gateway = Gateway::start("http.allowed-hosts = [\"gate.example\"]\n");
    let operator = Operator::of(&gateway).await;
    let request = format!(
        "GET /admin/v1/servers HTTP/1.1\r\nHost: gate.example\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        operator.token()
    );
    let address = gateway.address();
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    });
    let answer = answer.await.expect("no panic");
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("host_not_allowed"),
        "{answer}"
    );
}

#[tokio::test]
async fn switched_off_there_is_nothing_and_no_token() {
    let gateway = Gateway::start("admin.enabled = false\n");
    let answer = send(gateway.address(), Method::GET, "/admin/v1/servers", &[], "").await;
    assert_eq!(answer.status, 404);
    assert!(!gateway.directory().join("state").exists());
}

#[tokio::test]
async fn with_an_address_of_its_own_it_is_nowhere_else() {
    let gateway = Gateway::start("admin.listen = \"127.0.0.1:0\"\n");
    let text = std::fs::read_to_string(gateway.directory().join("state/gateway.json"));
    let addresses: Value = serde_json::from_str(&text.expect("it runs")).expect("JSON");
    let admin: SocketAddr = addresses["admin"]
        .as_str()
        .expect("text")
        .parse()
        .expect("an address");
    assert_eq!(addresses["address"], gateway.address().to_string());
    assert_ne!(admin, gateway.address());
    let operator = Operator::at(&gateway, admin).await;
    assert_eq!(
        operator.get("/servers").await,
        serde_json::json!({ "servers": {} })
    );
    let bearer = format!("Bearer {}", operator.token());
    for (address, path) in [
        (gateway.address(), "/admin/v1/servers"),
        (admin, "/mcp/x"),
        (admin, "/healthz"),
    ] {
        let answer = send(address, Method::GET, path, &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status, 404, "{address} {path}");
    }
}
