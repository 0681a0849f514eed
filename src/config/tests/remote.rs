//! Servers with a URL instead of a command.

use serde_json::{Value, json};

use super::super::*;
use super::load;

const KEY: [(&str, &str); 1] = [("KEY", "hunter22")];

fn spec(text: &str) -> ServerSpec {
    let config = load("a.toml", text, &KEY).expect("valid").config;
    (*config.servers["a"]).clone()
}

fn remote(text: &str) -> RemoteSpec {
    spec(text).remote.expect("it has a URL")
}

#[track_caller]
fn refused(text: &str, expect: &[&str]) {
    let error = load("a.toml", text, &KEY)
        .map(drop)
        .expect_err("not valid")
        .join("\n");
    assert!(!error.contains("hunter22"), "{error}");
    for expect in expect {
        assert!(error.contains(expect), "{expect:?} in {error}");
    }
}

#[test]
fn a_url_says_what_a_server_is() {
    let far =
        remote("[servers.a]\nurl = 'https://me:${KEY}@a.example/mcp'\nheaders = { X-Key = 'Bearer ${KEY}' }");
    assert_eq!(far.url.value(), "https://me:hunter22@a.example/mcp");
    assert_eq!(far.headers["X-Key"].value(), "Bearer hunter22");
    assert_eq!(far.transport, RemoteTransport::Auto);
    for (more, expect) in [
        ("type = 'http'", RemoteTransport::StreamableHttp),
        ("type = 'streamable-http'", RemoteTransport::StreamableHttp),
        ("type = 'streamableHttp'", RemoteTransport::StreamableHttp),
        ("transport = 'streamable_http'", RemoteTransport::StreamableHttp),
        ("transportType = 'sse'", RemoteTransport::HttpSse),
        ("args = []\nenv = {}", RemoteTransport::Auto),
    ] {
        let far = remote(&format!("[servers.a]\nurl = 'http://a.example'\n{more}"));
        assert_eq!(far.transport, expect, "{more}");
    }
    for more in ["", "type = 'ws'", "type = 'websocket'"] {
        let far = remote(&format!("[servers.a]\nurl = 'wss://a.example'\n{more}"));
        assert_eq!(far.transport, RemoteTransport::WebSocket, "{more}");
    }
    for (key, expect) in [
        ("serverUrl", RemoteTransport::Auto),
        ("httpUrl", RemoteTransport::StreamableHttp),
        ("http_url", RemoteTransport::StreamableHttp),
    ] {
        assert_eq!(
            remote(&format!("[servers.a]\n{key} = 'https://a.example'")).transport,
            expect,
            "{key}"
        );
    }
}

#[test]
fn a_file_may_be_one_remote_server() {
    for key in ["url", "serverUrl", "httpUrl"] {
        let text = json!({"name": "a", key: "https://a.example/mcp"}).to_string();
        let config = load("a.json", &text, &[]).expect("valid").config;
        assert!(config.servers["a"].remote.is_some(), "{key}");
    }
}

#[test]
fn what_contradicts_a_url_is_refused() {
    refused(
        "[servers.a]\npath = 'x'",
        &["servers.a.command: is missing: give the program"],
    );
    refused(
        "[servers.a]\nurl = 'https://x'\ncommand = 'x'\nargs = ['1']\nenv = { A = '1' }\ncwd = '/'\ntype = 'stdio'",
        &[
            "a.command: belongs",
            "a.args: belongs",
            "a.env: belongs",
            "a.cwd: belongs",
            "a.type: is that of a server that is started",
        ],
    );
    refused(
        "[servers.a]\ncommand = 'x'\nheaders = { A = '1' }\ntype = 'sse'",
        &[
            "a.headers: belongs to a remote server",
            "a.type: is that of a remote server",
        ],
    );
    refused(
        "[servers.a]\nurl = 'https://x'\nserverUrl = 'https://y'",
        &["a.url: written twice"],
    );
    refused(
        "[servers.a]\nurl = 'https://x'\ntype = 'ws'",
        &["a.type: is WebSocket"],
    );
    refused(
        "[servers.a]\nurl = 'ws://x'\ntype = 'http'",
        &["a.type: does not fit"],
    );
    refused("[servers.a]\nurl = 5", &["a.url: expected text"]);
    for (url, expect) in [
        ("${KEY}", "a.url: is not a URL"),
        ("ftp://${KEY}", "must begin with https://"),
        ("https://", "a.url: is not a URL"),
        ("https://x/#${KEY}", "has a fragment"),
        ("https://x/${GONE}", "variable `GONE` is not set"),
    ] {
        refused(&format!("[servers.a]\nurl = '{url}'"), &[expect]);
    }
}

#[test]
fn headers_are_what_a_request_can_carry_and_the_transport_does_not_set() {
    let with = |headers: &str| format!("[servers.a]\nurl = 'https://me@x'\nheaders = {{ {headers} }}");
    assert!(load("a.toml", &with("X = 'ü'"), &KEY).is_ok());
    for (headers, expect) in [
        ("'a b' = '${KEY}'", "is not the name of a header"),
        ("Host = '${KEY}'", "a.headers.Host: is set by the transport"),
        ("Mcp-Session-Id = '1'", "is set by the transport"),
        ("sec-websocket-key = '1'", "is set by the transport"),
        ("Authorization = '${KEY}'", "is given by the `url` too"),
        ("X = \"${KEY}\\r\\nY: 1\"", "holds a control character"),
        ("X = '1', x = '2'", "names a header twice"),
        ("X = 1", "a.headers.X: expected text"),
    ] {
        refused(&with(headers), &[expect]);
    }
}

#[test]
fn nothing_shows_what_may_be_secret() {
    let text = "[servers.a]\nurl = 'https://me:password1@a.example/mcp?key=password2'\n\
                headers = { A = 'Bearer ${KEY}', B = '${KEY}', C = 'password3' }";
    let loaded = load("a.toml", text, &KEY).expect("valid");
    let spec = &loaded.config.servers["a"];
    let shown = spec.shown();
    assert_eq!(shown["url"], "https://***@a.example/mcp?***");
    assert_eq!(shown["headers"], json!({"A": "***", "B": "${KEY}", "C": "***"}));
    assert_eq!(shown.get("command"), None);
    let everything = format!(
        "{shown} {} {:?}",
        loaded.origins,
        spec.remote.as_ref().map(|far| &far.headers["A"])
    );
    for secret in ["password", "hunter22"] {
        assert!(!everything.contains(secret), "{everything}");
    }
    assert_eq!(spec.redacted("x Bearer hunter22 x"), "x Bearer ${KEY} x");
}

fn from_api(body: Value) -> ServerSpec {
    ServerSpec::from_api(&body, &ServerDefaults::default()).expect("valid")
}

#[test]
fn what_the_api_shows_can_be_sent_back() {
    let far = from_api(
        json!({"name": "a", "url": "https://me:pw@a.example/mcp?k=1", "headers": {"A": "secret"}, "type": "sse"}),
    );
    let patched = |patch: Value| far.patched(&patch, &ServerDefaults::default());
    let shown = far.shown();
    assert_eq!(shown["type"], "sse");
    let same = patched(shown.clone()).expect("valid");
    assert_eq!((same.shown(), same.remote), (shown, far.remote.clone()));
    assert_eq!(
        patched(json!({"displayName": "A"})).map(|spec| spec.remote),
        Ok(far.remote.clone())
    );
    let plain = from_api(json!({"name": "b", "url": "https://b.example/mcp"}));
    assert_eq!(from_api(plain.shown()).shown(), plain.shown());
    let unshown = ServerSpec::from_api(&far.shown(), &ServerDefaults::default()).expect_err("hidden values");
    let lines: Vec<String> = unshown.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "request: headers.A: is hidden here: send the value itself",
            "request: url: is hidden here in part: send the whole of it",
        ]
    );
}

#[test]
fn credentials_do_not_follow_a_server_to_another_origin() {
    let far =
        from_api(json!({"name": "a", "url": "https://a.example/mcp", "headers": {"A": "secret", "B": "2"}}));
    let patched = |patch: Value| far.patched(&patch, &ServerDefaults::default());
    let headers = |patch: Value| {
        let spec = patched(patch).expect("valid");
        let headers = spec.remote.expect("it is remote").headers;
        headers
            .values()
            .map(|text| text.value().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        headers(json!({"url": "https://a.example/other"})),
        ["secret", "2"]
    );
    assert_eq!(
        headers(json!({"url": "https://evil.example/mcp"})),
        [] as [&str; 0]
    );
    assert_eq!(
        headers(json!({"url": "https://b.example/mcp", "headers": {"A": "new"}})),
        ["new"]
    );
    assert!(patched(json!({"url": "https://evil.example/mcp", "headers": {"A": "***"}})).is_err());
    assert_eq!(headers(json!({"headers": {"A": null}})), ["2"]);
}

#[test]
fn a_patch_makes_a_remote_server_of_one_that_is_started() {
    let near = from_api(json!({"name": "a", "command": "x", "env": {"A": "1"}}));
    let patched = |patch: Value| near.patched(&patch, &ServerDefaults::default());
    assert!(patched(json!({"url": "https://x"})).is_err(), "it has a command");
    let far = patched(json!({"url": "https://x", "command": null, "env": null})).expect("valid");
    assert!(far.remote.is_some() && !far.invokes_the_same(&near) && !far.runs_the_same(&near));
}
