//! A small HTTP/1.1 client: one connection, one request at a time, answers read whole or as events.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{EventStream, within};

/// A connection kept alive between requests; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = within("connecting", TcpStream::connect(address))
            .await
            .expect("the gateway listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .expect("nothing is sent yet");
        let driver = tokio::spawn(async move {
            // What breaks the connection is seen by the request on it.
            let _ = connection.await;
        });
        Self {
            sender,
            address,
            driver,
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).expect("tests write valid headers");
        let exchange = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = within(&what, exchange)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        Answer::from(answer)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer whose body has yet to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
}

impl From<Response<Incoming>> for Answer {
    fn from(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body,
        }
    }
}

impl Answer {
    /// Returns its status code.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns its headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns a header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Tells whether its body is a stream of events.
    pub(crate) fn is_stream(&self) -> bool {
        self.header(CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// Reads its body to the end.
    pub(crate) async fn bytes(self) -> Bytes {
        let body = within("the rest of an answer", self.body.collect()).await;
        body.unwrap_or_else(|error| panic!("an answer broke off: {error}"))
            .to_bytes()
    }

    /// Reads its body as JSON; panics with the text if it is none.
    pub(crate) async fn json(self) -> Value {
        let status = self.status;
        let body = self.bytes().await;
        let text = || String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{status}: {error} in {:?}", text()))
    }

    /// Reads its body as events; panics if it is no stream.
    pub(crate) fn events(self) -> EventStream {
        assert!(
            self.is_stream(),
            "{} with {:?} is no event stream",
            self.status,
            self.headers
        );
        EventStream::new(self.body)
    }
}
