//! HTTP/2 in clear text, by prior knowledge, on the port of HTTP/1.1; and the limits of it.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::peer::{BOTH, LATEST, call, call_with_token, initialize};
use crate::support::{EventStream, Gateway, text_of, within};

/// A connection.
struct Http2 {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Http2 {
    async fn open(gateway: &Gateway) -> Self {
        let address = gateway.address();
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        let io = TokioIo::new(stream);
        let (sender, connection) = handshake(TokioExecutor::new(), io)
            .await
            .expect("nothing is sent yet");
        Self {
            sender,
            address,
            driver: tokio::spawn(connection),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Request<Full<Bytes>> {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(Full::new(body.into()))
            .expect("tests write valid headers")
    }

    async fn try_send(&self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.sender.clone();
        within("an answer", async {
            sender.ready().await?;
            sender.send_request(request).await
        })
        .await
    }

    async fn post(&self, session: Option<&str>, message: &Value) -> Response<Incoming> {
        let mut headers = vec![("content-type", "application/json"), ("accept", BOTH)];
        headers.extend(session.map(|session| ("mcp-session-id", session)));
        let request = self.request(Method::POST, "/mcp/mock", &headers, message.to_string());
        self.try_send(request).await.expect("it is answered")
    }

    async fn initialize(&self) -> String {
        let opened = self.post(None, &initialize(LATEST, json!({}))).await;
        let session = opened.headers()["mcp-session-id"]
            .to_str()
            .expect("text")
            .to_owned();
        assert!(json_of(opened).await["result"].is_object());
        session
    }
}

async fn json_of(response: Response<Incoming>) -> Value {
    let body = within("the body", response.into_body().collect())
        .await
        .expect("it is whole");
    serde_json::from_slice(&body.to_bytes()).expect("JSON")
}

#[tokio::test]
async fn sessions_streams_and_calls_side_by_side_on_one_connection() {
    let gateway = Gateway::with_mock(&[], "");
    let http2 = Http2::open(&gateway).await;
    let session = http2.initialize().await;
    let listen = [("accept", "text/event-stream"), ("mcp-session-id", &*session)];
    let listen = http2.request(Method::GET, "/mcp/mock", &listen, String::new());
    let listening = http2.try_send(listen).await.expect("it is answered");
    assert_eq!(listening.status(), StatusCode::OK);
    let mut events = EventStream::new(listening.into_body());
    let sleeps = (0..50).map(|number| {
        let ms = 100 - number;
        let (http2, session) = (&http2, &session);
        async move {
            let answer = http2
                .post(Some(session), &call(number, "sleep", json!({ "ms": ms })))
                .await;
            assert_eq!(json_of(answer).await["id"], number);
        }
    });
    futures_util::future::join_all(sleeps).await;
    let progress = call_with_token(1, "t", "progress", json!({ "steps": 3 }));
    let answer = http2.post(Some(&session), &progress).await;
    let mut answers = EventStream::new(answer.into_body());
    let mut messages = Vec::new();
    while let Some(event) = answers.next().await {
        messages.extend((!event.data.is_empty()).then(|| event.json()));
    }
    assert_eq!((messages.len(), text_of(&messages[3])), (4, "made 3 steps"));
    http2
        .post(Some(&session), &call(2, "change", json!({ "kind": "tools" })))
        .await;
    let changed = loop {
        let event = events.next().await.expect("the stream goes on");
        if !event.data.is_empty() {
            break event.json();
        }
    };
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    drop(events);
    gateway.stop().await;
}

#[tokio::test]
async fn the_authority_is_the_host() {
    let gateway = Gateway::with_mock(&[], "");
    let mut http2 = Http2::open(&gateway).await;
    let status = async |http2: &Http2, headers: &[(&str, &str)]| {
        let request = http2.request(Method::POST, "/mcp/mock", headers, "{}".to_owned());
        http2.try_send(request).await.expect("it is answered").status()
    };
    let json = ("content-type", "application/json");
    assert_eq!(
        status(&http2, &[json]).await,
        StatusCode::BAD_REQUEST,
        "it is no message"
    );
    assert_eq!(
        status(&http2, &[json, ("origin", "http://evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        status(&http2, &[json, ("host", "evil.example")]).await,
        StatusCode::FORBIDDEN
    );
    http2.address = "192.0.2.9:80".parse().expect("an address");
    assert_eq!(
        status(&http2, &[json]).await,
        StatusCode::FORBIDDEN,
        "another name"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_head_has_a_limit_and_so_has_a_body() {
    let gateway = Gateway::start(
        "[http]\nheader-max = \"8KiB\"\nbody-max = \"1KiB\"\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\n",
    );
    let http2 = Http2::open(&gateway).await;
    let long = "x".repeat(20_000);
    let request = http2.request(Method::GET, "/healthz", &[("x-long", &long)], String::new());
    // The client knows the limit by then, or is told by the status.
    match http2.try_send(request).await {
        Ok(refused) => assert_eq!(refused.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(error) => assert!(
            error.is_user() || error.to_string().contains("http2"),
            "{error:?}"
        ),
    }
    let large = call(1, "echo", json!({ "text": "x".repeat(2_000) }));
    assert_eq!(
        http2.post(None, &large).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let request = http2.request(Method::GET, "/healthz", &[], String::new());
    assert_eq!(
        http2.try_send(request).await.expect("it goes on").status(),
        StatusCode::OK
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_has_so_many_streams_and_others_wait() {
    let gateway = Gateway::start(
        "[http]\nhttp2-streams-max = 2\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n",
    );
    let http2 = Http2::open(&gateway).await;
    let session = http2.initialize().await;
    let sleeps = (0..6).map(|number| {
        let (http2, session) = (&http2, &session);
        async move {
            let answer = http2
                .post(Some(session), &call(number, "sleep", json!({ "ms": 100 })))
                .await;
            json_of(answer).await["id"].clone()
        }
    });
    let most = async {
        let mut most = 0;
        loop {
            let status = gateway.admin("status").await;
            most = most.max(status["inFlight"].as_u64().expect("a number"));
            if most >= 3 {
                return;
            }
        }
    };
    tokio::select! {
        answered = futures_util::future::join_all(sleeps) => assert_eq!(answered.len(), 6),
        () = most => panic!("more than two at once"),
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_without_streams_or_without_a_word_is_closed() {
    let gateway = Gateway::start("[http]\nheader-timeout = \"100ms\"\n");
    let http2 = Http2::open(&gateway).await;
    let request = http2.request(Method::GET, "/healthz", &[], String::new());
    assert_eq!(
        http2.try_send(request).await.expect("it is answered").status(),
        StatusCode::OK
    );
    let ended = within("the end of the connection", http2.driver).await;
    assert!(ended.expect("no panic").is_ok(), "it is told so before");
    for word in ["", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut silent = TcpStream::connect(gateway.address())
            .await
            .expect("the gateway listens");
        silent
            .write_all(word.as_bytes())
            .await
            .expect("the system takes it");
        let mut rest = Vec::new();
        let read = within("the end", silent.read_to_end(&mut rest)).await;
        assert!(read.is_ok() || !rest.is_empty(), "{word:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_drain_lets_its_streams_finish() {
    let gateway = Gateway::with_mock(&[], "");
    let http2 = Http2::open(&gateway).await;
    let session = http2.initialize().await;
    let asking = call(1, "sleep", json!({ "ms": 500 }));
    let answer = http2.post(Some(&session), &asking);
    let mut answer = std::pin::pin!(answer);
    let in_flight = async { while gateway.admin("status").await["inFlight"] != 1 {} };
    tokio::select! {
        _ = &mut answer => panic!("it takes longer"),
        () = within("the request", in_flight) => {}
    }
    let stopping = tokio::spawn(gateway.stop());
    let answer = json_of(answer.await).await;
    assert!(answer["result"].is_object(), "{answer}");
    within("the end", stopping).await.expect("it ends well");
}
