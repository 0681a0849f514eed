//! The stream of what the server says on its own (GET), opened in each session and opened again when it breaks.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};

use super::body::Body;
use super::exchange::{RETRY, RETRY_MIN, is_message};
use super::refusal::Refusal;
use super::session::Epoch;
use super::wire::Wire;
use crate::protocol::names::header;

/// Longest wait for the head of the answer.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Longest wait between attempts, where the server does not say how long to wait.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Follows the stream of each session until it is dropped.
pub(super) async fn listen(wire: Arc<Wire>) {
    let mut sessions = wire.sessions.subscribe();
    loop {
        let session = *sessions.borrow_and_update();
        let changed = if session > 0 {
            tokio::select! {
                biased;
                changed = sessions.changed() => changed,
                () = async {
                    Stream::new(&wire, session).follow().await;
                    std::future::pending().await
                } => unreachable!("it is never ready"),
            }
        } else {
            sessions.changed().await
        };
        if changed.is_err() {
            return;
        }
    }
}

/// The stream of one session.
struct Stream<'a> {
    wire: &'a Wire,
    session: u64,
    body: Option<Body>,
    /// Attempts that brought nothing, one after the other.
    failures: u32,
}

impl<'a> Stream<'a> {
    fn new(wire: &'a Wire, session: u64) -> Self {
        Self {
            wire,
            session,
            body: None,
            failures: 0,
        }
    }

    /// Reads the stream, again and again; returns when the server has none.
    async fn follow(&mut self) {
        loop {
            if !self.open().await {
                return;
            }
            self.read().await;
            let said = self.body.as_ref().and_then(Body::retry);
            let pause = said.unwrap_or(RETRY).max(RETRY_MIN) * 2_u32.saturating_pow(self.failures.min(8));
            let most = said.unwrap_or_default().max(RETRY_MAX);
            tokio::time::sleep(pause.min(most)).await;
        }
    }

    /// Returns whether it is worth another attempt.
    async fn open(&mut self) -> bool {
        let mut headers = HeaderMap::new();
        let epoch = self.wire.session.write(&mut headers);
        let last_id = self.body.as_ref().and_then(Body::last_id);
        if let Some(id) = last_id.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
            headers.insert(header::LAST_EVENT_ID, id);
        }
        self.failures += 1;
        let response = tokio::time::timeout(HEAD_TIME, self.wire.listen(headers)).await;
        self.wire.listened.send_replace(self.session);
        let response = match response {
            Ok(Ok(response)) => response,
            Ok(Err(_)) | Err(_) => return true,
        };
        let status = response.status();
        if status.is_success() {
            return match &mut self.body {
                Some(body) => body.resume_with(response),
                None => match Body::of(response, self.wire.server.line_max()) {
                    Ok(body) if body.is_stream() => {
                        self.body = Some(body);
                        true
                    }
                    _ => false,
                },
            };
        }
        if status.is_server_error() {
            self.wire.log.say(format_args!(
                "the stream of its own messages: HTTP status {status}"
            ));
            return true;
        }
        let refusal = Refusal::read(response).await;
        self.refused(&refusal, epoch).await;
        false
    }

    /// A server that never had a stream may answer 404 for that; one that had it does not know the session any more.
    async fn refused(&self, refusal: &Refusal, epoch: Epoch) {
        if self.body.is_some() && epoch.has_id && refusal.is_unknown_session() {
            if let Err(failure) = self.wire.renew(epoch).await {
                self.wire.log.say(format_args!("no other session: {failure}"));
            }
        } else if refusal.status.as_u16() != 405 {
            self.wire.log.say(format_args!(
                "it has no stream of its own messages: HTTP status {}",
                refusal.status
            ));
        }
    }

    async fn read(&mut self) {
        let Some(body) = &mut self.body else { return };
        while let Ok(Some(event)) = body.next().await {
            self.failures = 0;
            if is_message(&event.kind) {
                self.wire.deliver(event.data, None).await;
            }
        }
        if body.last_id().is_some() {
            self.failures = 0; // a server that gives ids and closes wants to be asked again
        }
    }
}
