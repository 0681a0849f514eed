//! Another session in the place of one that the server does not know any more: opened with the same `initialize`, told
//! the same log level and subscriptions. Who waits for an answer does not notice.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderValue};

use super::body::{Body, skip};
use super::exchange::is_message;
use super::failure::RemoteFailure;
use super::session::{Epoch, write_headers};
use super::wire::{Ending, Wire};
use crate::protocol::ServerFacts;
use crate::protocol::framing::Frame;
use crate::protocol::mcp::LISTINGS;
use crate::protocol::names::{header, method};
use crate::protocol::{Kind, Message, RequestId, reply};
use crate::upstream::SCAN;

impl Wire {
    /// Opens another session, unless somebody has done so since `gone` was the session.
    ///
    /// # Errors
    /// No other session could be opened; then the connection is over too.
    pub(super) async fn renew(&self, gone: Epoch) -> Result<(), RemoteFailure> {
        let mut renewals = self.renewals.lock().await;
        if !self.session.is_current(gone) {
            return Ok(());
        }
        *renewals += 1;
        self.log
            .say("its session is unknown there: another one is opened");
        let time = self.server.handshake_timeout();
        let opened = tokio::time::timeout(time, self.open_again(*renewals)).await;
        match opened.unwrap_or(Err(RemoteFailure::TooSlow)) {
            Ok(id) => {
                let changes = self.changes();
                // Whoever opens it may be gone at the next await, and nobody would do the rest.
                let room = self.incoming.reserve_many(changes.len()).await;
                self.session.replace(id);
                self.sessions.send_modify(|sessions| *sessions += 1);
                // Fails only when the supervisor reads no more.
                for (place, change) in room.into_iter().flatten().zip(changes) {
                    place.send(change);
                }
                Ok(())
            }
            Err(failure) => {
                self.end(Ending::Lost(failure));
                Err(failure)
            }
        }
    }

    async fn open_again(&self, number: u64) -> Result<Option<HeaderValue>, RemoteFailure> {
        let initialize = self.session.initialize().ok_or(RemoteFailure::SessionGone)?;
        let version = self.session.version();
        let response = self.ask(&initialize, &id_of(number, 0), HeaderMap::new()).await?;
        let id = response.headers().get(header::SESSION_ID).cloned();
        let answer = self.answer_in(response, &id_of(number, 0)).await?;
        let result = answer
            .result()
            .and_then(|result| ServerFacts::of_initialize(&result).ok());
        if result.ok_or(RemoteFailure::WrongAnswer)?.version() != version.ok_or(RemoteFailure::Changed)? {
            return Err(RemoteFailure::Changed);
        }
        let mut headers = HeaderMap::new();
        write_headers(id.as_ref(), version, &mut headers);
        let mut line = Vec::new();
        reply::write_notification(method::INITIALIZED, None, &mut line);
        skip(&mut self.post(line.into(), headers.clone()).await?).await;
        for (index, setting) in (1..).zip(self.session.settings()) {
            let id = id_of(number, index);
            match self.ask(&setting, &id, headers.clone()).await {
                Ok(response) => drop(self.answer_in(response, &id).await),
                Err(failure @ RemoteFailure::Unreachable(_)) => return Err(failure),
                Err(failure) => self
                    .log
                    .say(format_args!("{} again: {failure}", setting.method())),
            }
        }
        Ok(id)
    }

    /// Sends a request that was sent before, under another id.
    pub(super) async fn ask(
        &self,
        request: &Message,
        id: &RequestId,
        headers: HeaderMap,
    ) -> Result<Response, RemoteFailure> {
        let mut line = Vec::new();
        request.write_with_id(id, &mut line);
        let response = self.post(line.into(), headers).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(RemoteFailure::of_status(status)),
        }
    }

    /// Returns the answer to a request; what comes before it is passed on.
    pub(super) async fn answer_in(
        &self,
        response: Response,
        id: &RequestId,
    ) -> Result<Message, RemoteFailure> {
        let mut body = Body::of(response, self.server.line_max())?;
        while let Some(event) = body.next().await? {
            if !is_message(&event.kind) {
                continue;
            }
            match answer_to(id, &event.data) {
                Some(message) => {
                    body.finish().await;
                    return Ok(message);
                }
                None => drop(self.deliver(event.data, None).await),
            }
        }
        Err(RemoteFailure::Broken)
    }

    /// Returns what tells that whatever the server lists may have changed.
    fn changes(&self) -> Vec<Bytes> {
        let told = LISTINGS
            .iter()
            .filter(|listing| self.session.tells_changes_of(listing.capability));
        let mut methods: Vec<&str> = told.map(|listing| listing.changed).collect();
        methods.dedup();
        let written = methods.into_iter().map(|method| {
            let mut line = Vec::new();
            reply::write_notification(method, None, &mut line);
            line.into()
        });
        written.collect()
    }
}

/// Returns an id that no request of the connection has: those are numbers.
fn id_of(renewal: u64, index: u64) -> RequestId {
    RequestId::String(format!("portcullis-{renewal}-{index}").into())
}

fn answer_to(id: &RequestId, frame: &Frame) -> Option<Message> {
    let Frame::Line(text) = frame else { return None };
    let message = Message::parse(text.clone(), SCAN).ok()?;
    (message.kind() == Kind::Response && message.id() == Some(id)).then_some(message)
}
