//! A small client of the admin API: one connection per request, answers read whole or as events.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::failure::Failure;
use super::target::Target;

/// How long connecting may take; a gateway on this machine answers at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer, or of one event.
const ANSWER_MAX: usize = 256 * 1024 * 1024;

/// A client of one gateway.
#[derive(Debug)]
pub(super) struct AdminClient {
    target: Target,
}

impl AdminClient {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Makes a request and returns the JSON of its answer; null if it has no body.
    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let (response, driver) = self.send(method, path, body, None).await?;
        let answer = self.read(response).await;
        driver.abort();
        answer
    }

    /// Opens the stream of events, from now on or after one.
    pub(super) async fn events(&self, path: &str, after: Option<u64>) -> Result<Events, Failure> {
        let (response, driver) = self.send(Method::GET, path, None, after).await?;
        if !response.status().is_success() {
            return Err(match self.read(response).await {
                Err(failure) => failure,
                Ok(answer) => self.broken(answer),
            });
        }
        Ok(Events {
            address: self.target.address,
            body: response.into_body(),
            buffer: BytesMut::new(),
            driver,
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        after: Option<u64>,
    ) -> Result<(Response<Incoming>, JoinHandle<()>), Failure> {
        let address = self.target.address;
        let unreachable = |source| Failure::Unreachable { address, source };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address))
            .await
            .map_err(|_| unreachable(std::io::ErrorKind::TimedOut.into()))?
            .map_err(unreachable)?;
        let (mut sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(error))?;
        // What breaks the connection is seen by the request on it.
        let driver = tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/admin/v1/{path}"))
            .header(HOST, address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.target.token.expose()));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request
            .body(Full::new(body))
            .map_err(|error| Failure::Input(anyhow::anyhow!("{path}: {error}")))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| self.broken(error))?;
        Ok((response, driver))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Value, Failure> {
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        let body = body.map_err(|error| self.broken(error))?.to_bytes();
        let answer: Value = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body).map_err(|error| self.broken(error))?,
        };
        if status.is_success() {
            return Ok(answer);
        }
        match (
            answer["error"]["code"].as_str(),
            answer["error"]["message"].as_str(),
        ) {
            (Some(code), Some(message)) => Err(Failure::Refused {
                code: code.to_owned(),
                message: message.to_owned(),
            }),
            _ => Err(self.broken(format_args!("{status}; is this a gateway with an admin API?"))),
        }
    }

    fn broken(&self, message: impl std::fmt::Display) -> Failure {
        broken(self.target.address, message)
    }
}

fn broken(address: SocketAddr, message: impl std::fmt::Display) -> Failure {
    Failure::Broken {
        address,
        message: message.to_string(),
    }
}

/// The events of a gateway, as they come.
#[derive(Debug)]
pub(super) struct Events {
    address: SocketAddr,
    body: Incoming,
    buffer: BytesMut,
    driver: JoinHandle<()>,
}

impl Events {
    /// Returns the next event, or nothing when the gateway has stopped.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(event) = next_event(&mut self.buffer) {
                return event.map(Some).map_err(|error| broken(self.address, error));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| broken(self.address, error))?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
            if self.buffer.len() > ANSWER_MAX {
                return Err(broken(self.address, "an event is too long"));
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Takes the data of the next whole event off the buffer. Ours has one line of data; comments have none.
fn next_event(buffer: &mut BytesMut) -> Option<serde_json::Result<Value>> {
    loop {
        let end = memchr::memmem::find(buffer, b"\n\n")?;
        let event = buffer.split_to(end + 2);
        let mut lines = event.as_ref().split(|byte: &u8| *byte == b'\n');
        if let Some(data) = lines.find_map(|line| line.strip_prefix(b"data: ")) {
            return Some(serde_json::from_slice(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_taken_whole_and_comments_passed_over() {
        let mut buffer =
            BytesMut::from(&b": listening\n\nid: 1\nevent: a\ndata: {\"id\":1}\n\nid: 2\nda"[..]);
        assert_eq!(
            next_event(&mut buffer).expect("whole").expect("JSON"),
            json!({"id": 1})
        );
        assert!(next_event(&mut buffer).is_none());
        buffer.extend_from_slice(b"ta: {\"id\":2}\n\n");
        assert_eq!(
            next_event(&mut buffer).expect("whole").expect("JSON"),
            json!({"id": 2})
        );
        assert!(buffer.is_empty());
    }
}
