//! Requests to one remote server: its URL and headers on each, redirects within its origin only, proxies and trusted
//! roots as the environment says.
//!
//! HTTP/1.1 alone: over HTTP/2 the event streams that stay open, one for each session, would count against the streams
//! that a server takes on one connection (a hundred is common), and once they are used up no call gets through.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url, redirect};

use super::failure::{RemoteFailure, causes};
use super::strings::Log;
use crate::config::RemoteSpec;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: less than the five seconds after which common servers close theirs, so that no
/// request meets a connection that is just being closed.
const IDLE_CONNECTION: Duration = Duration::from_secs(4);
/// How soon the system looks after a silent peer.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// Most redirects of one request.
const REDIRECTS_MAX: usize = 3;

/// What an event stream is asked for with.
pub(super) const EVENTS: &str = "text/event-stream";
/// What an answer is.
pub(super) const JSON: &str = "application/json";

/// The client of one server.
#[derive(Debug)]
pub(super) struct RemoteClient {
    client: Client,
    headers: HeaderMap,
}

impl RemoteClient {
    /// Reads the platform's roots, which takes a moment.
    pub(super) fn new(spec: &RemoteSpec) -> Result<Self, String> {
        let client = Client::builder()
            .user_agent(concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::custom(judge))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_CONNECTION)
            .tcp_keepalive(PROBE_AFTER)
            .build()
            .map_err(causes)?;
        let headers = spec.headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("the configuration was checked");
            let mut value =
                HeaderValue::from_bytes(value.value().as_bytes()).expect("the configuration was checked");
            value.set_sensitive(true);
            (name, value)
        });
        Ok(Self {
            client,
            headers: headers.collect(),
        })
    }

    /// Posts a message and waits for the head of the answer.
    pub(super) async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        log: &Log,
    ) -> Result<Response, RemoteFailure> {
        let request = self
            .request(Method::POST, url, headers)
            .header(
                ACCEPT,
                const { HeaderValue::from_static("application/json, text/event-stream") },
            )
            .header(CONTENT_TYPE, const { HeaderValue::from_static(JSON) })
            .body(body);
        answer(request.send().await, log)
    }

    /// Sends a request without a body and waits for the head of the answer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        log: &Log,
    ) -> Result<Response, RemoteFailure> {
        answer(self.request(method, url, headers).send().await, log)
    }

    /// Opens an event stream.
    pub(super) async fn listen(
        &self,
        url: &Url,
        mut headers: HeaderMap,
        log: &Log,
    ) -> Result<Response, RemoteFailure> {
        headers.insert(ACCEPT, const { HeaderValue::from_static(EVENTS) });
        self.send(Method::GET, url, headers, log).await
    }

    fn request(&self, method: Method, url: &Url, headers: HeaderMap) -> reqwest::RequestBuilder {
        self.client
            .request(method, url.clone())
            .headers(self.headers.clone())
            .headers(headers)
    }
}

fn answer(result: Result<Response, reqwest::Error>, log: &Log) -> Result<Response, RemoteFailure> {
    result.map_err(|error| {
        let failure = RemoteFailure::of_error(&error);
        log.say(format_args!("{failure} ({})", causes(error)));
        failure
    })
}

/// Follows what keeps the method and the origin, and so the right to see the credentials.
fn judge(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let before = attempt.previous();
    let stays = before
        .last()
        .is_some_and(|url| url.origin() == attempt.url().origin());
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    if stays && keeps_method && before.len() <= REDIRECTS_MAX {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
