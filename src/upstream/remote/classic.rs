//! HTTP+SSE (2024-11-05): one event stream by which everything comes, and an endpoint to post to that it names first.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::HeaderMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, Span};

use super::body::Body;
use super::conversation::Conversation;
use super::exchange::is_message;
use super::failure::RemoteFailure;
use super::server::RemoteServer;
use super::strings::{Log, Outgoing};
use super::wire::{Ending, Shape, Wire};
use crate::protocol::framing::Frame;

/// Opens the stream and speaks to its endpoint until it ends.
pub(super) async fn speak(
    server: &Arc<RemoteServer>,
    outgoing: &mut Outgoing,
    incoming: mpsc::Sender<Bytes>,
    log: &Log,
) -> Ending {
    let opened = tokio::time::timeout(server.handshake_timeout(), open(server, log)).await;
    let (endpoint, body) = match opened.unwrap_or(Err(RemoteFailure::TooSlow)) {
        Ok(opened) => opened,
        Err(failure) => return Ending::Lost(failure),
    };
    server.remember(Shape::Classic);
    let (wire, endings) = Wire::new(server.clone(), (Shape::Classic, endpoint), incoming, log.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(follow(wire.clone(), body).instrument(Span::current()));
    Conversation::new(wire, outgoing, tasks).run(endings).await
}

/// Opens the stream and waits for the event that names the endpoint.
async fn open(server: &RemoteServer, log: &Log) -> Result<(Url, Body), RemoteFailure> {
    let response = server
        .client()
        .listen(server.url(), HeaderMap::new(), log)
        .await?;
    if !response.status().is_success() {
        return Err(RemoteFailure::of_status(response.status()));
    }
    let mut body = Body::of(response, server.line_max())?;
    if !body.is_stream() {
        return Err(RemoteFailure::ContentType);
    }
    while let Some(event) = body.next().await? {
        if event.kind == "endpoint" {
            let endpoint = endpoint(server.url(), &event.data).ok_or(RemoteFailure::Endpoint)?;
            return Ok((endpoint, body));
        }
    }
    Err(RemoteFailure::StreamEnded)
}

/// Returns the endpoint, if it is where the credentials of the server belong.
fn endpoint(base: &Url, data: &Frame) -> Option<Url> {
    let Frame::Line(text) = data else { return None };
    let mut url = base.join(std::str::from_utf8(text).ok()?.trim()).ok()?;
    if url.origin() != base.origin() {
        return None;
    }
    let named = url.set_username(base.username()).is_ok() && url.set_password(base.password()).is_ok();
    named.then_some(url)
}

async fn follow(wire: Arc<Wire>, mut body: Body) {
    while let Ok(Some(event)) = body.next().await {
        if is_message(&event.kind) {
            wire.deliver(event.data, None).await;
        }
    }
    wire.end(Ending::Lost(RemoteFailure::StreamEnded));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_of_the_same_origin_and_keeps_the_credentials() {
        let base = Url::parse("https://me:secret@a.example/sse?x=1").expect("a URL");
        let check = |text: &str, expect: Option<&str>| {
            let data = Frame::Line(Bytes::copy_from_slice(text.as_bytes()));
            assert_eq!(endpoint(&base, &data).as_ref().map(Url::as_str), expect, "{text}");
        };
        check(
            "/messages?session=1",
            Some("https://me:secret@a.example/messages?session=1"),
        );
        check("https://a.example:443/m", Some("https://me:secret@a.example/m"));
        check("https://you@a.example/m", Some("https://me:secret@a.example/m"));
        check("?session=1", Some("https://me:secret@a.example/sse?session=1"));
        check("//b.example/m", None);
        check("http://a.example/m", None);
        check("https://a.example:8443/m", None);
        check("javascript:alert(1)", None);
        check("https://[", None);
    }
}
