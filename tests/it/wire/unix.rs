//! A Unix socket as the way in.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::peer::{LATEST, call};
use crate::support::{Channel, Gateway, text_of, within};

struct Scene {
    gateway: Gateway,
    path: PathBuf,
}

impl Scene {
    fn set() -> Self {
        let name = format!("portcullis-{}.sock", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(name);
        let gateway = Gateway::start(&format!(
            "http.unix-socket = {:?}\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
            path.display().to_string()
        ));
        Self { gateway, path }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], message: &Value) -> (StatusCode, Value) {
        let stream = UnixStream::connect(&self.path)
            .await
            .expect("the gateway listens");
        let (mut sender, connection) = handshake(TokioIo::new(stream))
            .await
            .expect("nothing is sent yet");
        let driver = tokio::spawn(connection);
        let mut request = Request::post(path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(Bytes::from(message.to_string())))
            .expect("valid");
        let answer = within("an answer", sender.send_request(request))
            .await
            .expect("it is answered");
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .expect("it is whole")
            .to_bytes();
        driver.abort();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

#[tokio::test]
async fn it_is_the_owners_and_is_removed_at_the_end() {
    let Scene { gateway, path } = Scene::set();
    let mode = std::fs::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    gateway.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn one_that_was_killed_leaves_a_socket_that_the_next_one_replaces() {
    let Scene { gateway, path } = Scene::set();
    let configuration =
        std::fs::read_to_string(gateway.directory().join("portcullis.toml")).expect("it is there");
    let configuration = configuration
        .split_once('\n')
        .expect("the state directory comes first")
        .1
        .to_owned();
    gateway.end_by(|process| process.signal(Signal::KILL));
    assert!(path.exists());
    let gateway = Gateway::start(&configuration);
    let scene = Scene { gateway, path };
    let echo = call(1, "echo", json!({ "text": "again" }));
    let (_, answer) = scene.post("/mcp/mock", &[("host", "localhost")], &echo).await;
    assert!(text_of(&answer).contains("again"));
    scene.gateway.stop().await;
    assert!(!scene.path.exists());
}

#[tokio::test]
async fn any_host_is_accepted_but_not_any_origin_and_the_admin_api_is_not_there() {
    let scene = Scene::set();
    let echo = call(1, "echo", json!({ "text": "hello" }));
    for headers in [
        &[][..],
        &[("host", "localhost")],
        &[("host", "no.such.name")],
        &[("host", "")],
    ] {
        let (status, answer) = scene.post("/mcp/mock", headers, &echo).await;
        assert_eq!(
            (status, text_of(&answer)),
            (StatusCode::OK, r#"{"text":"hello"}"#),
            "{headers:?}"
        );
    }
    let origin = [("host", "localhost"), ("origin", "http://evil.example")];
    assert_eq!(
        scene.post("/mcp/mock", &origin, &echo).await.0,
        StatusCode::FORBIDDEN
    );
    let admin = scene
        .post("/admin/v1/servers", &[("host", "localhost")], &json!({}))
        .await;
    assert_eq!(admin.0, StatusCode::NOT_FOUND);
    scene.gateway.stop().await;
}

#[tokio::test]
async fn a_websocket_works_there_too() {
    let scene = Scene::set();
    let stream = UnixStream::connect(&scene.path)
        .await
        .expect("the gateway listens");
    let mcp = [("sec-websocket-protocol", "mcp")];
    let opened = Channel::socket_on(Box::new(stream), "localhost", "/mcp/mock", &mcp).await;
    let (mut channel, _) = opened.unwrap_or_else(|refused| panic!("{refused:?}"));
    channel.open(LATEST, json!({})).await;
    assert!(text_of(&channel.call("echo", json!({ "text": "here" })).await).contains("here"));
    drop(channel);
    scene.gateway.stop().await;
}
