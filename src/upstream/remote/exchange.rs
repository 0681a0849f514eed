//! One request: its POST, and its answer from wherever that comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Body, skip};
use super::failure::RemoteFailure;
use super::head::ModernHead;
use super::refusal::Refusal;
use super::session::Epoch;
use super::wire::{Ending, Shape, Wire};
use crate::protocol::framing::Frame;
use crate::protocol::names::{code, header, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Message, RequestId};
use crate::upstream::SCAN;

/// How often a stream that broke is opened again without anything new.
const RESUMES_MAX: u32 = 5;
/// How long to wait before that, where the server does not say.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// The shortest such wait, whatever the server says.
pub(super) const RETRY_MIN: Duration = Duration::from_millis(10);

/// Requests that change nothing, or nothing more if they are made twice.
const SAFE: [&str; 14] = [
    method::INITIALIZE,
    method::PING,
    method::TOOLS_LIST,
    method::RESOURCES_LIST,
    method::TEMPLATES_LIST,
    method::READ,
    method::SUBSCRIBE,
    method::UNSUBSCRIBE,
    method::PROMPTS_LIST,
    method::PROMPTS_GET,
    method::COMPLETE,
    method::SET_LEVEL,
    method::TASKS_GET,
    method::DISCOVER,
];

/// A request on its way. Dropping it closes its stream.
pub(super) struct Exchange {
    wire: Arc<Wire>,
    message: Message,
    id: RequestId,
    modern: Option<ModernHead>,
    /// None for what only listens: it stays open, and others must not wait for its end.
    permit: Option<Arc<OwnedSemaphorePermit>>,
    /// Whether the server has answered with anything.
    is_taken: Arc<AtomicBool>,
}

impl Exchange {
    pub(super) fn new(wire: Arc<Wire>, message: Message, permit: Option<Arc<OwnedSemaphorePermit>>) -> Self {
        Self {
            id: message.id().expect("a request has an id").clone(),
            modern: ModernHead::of(&message),
            wire,
            message,
            permit,
            is_taken: Arc::default(),
        }
    }

    /// Returns what becomes true when the server has answered with anything.
    pub(super) fn is_taken(&self) -> Arc<AtomicBool> {
        self.is_taken.clone()
    }

    /// Returns whether closing its stream is its cancellation.
    pub(super) fn is_modern(&self) -> bool {
        self.modern.is_some()
    }

    /// Brings the request to the server and the answer back; if there is none, says why.
    pub(super) async fn run(self) {
        if let Err(failure) = self.make().await {
            if self.opens_session() {
                self.wire.end(Ending::Lost(failure));
            } else {
                self.wire.answer(&self.id, &failure.to_error()).await;
            }
        }
    }

    fn opens_session(&self) -> bool {
        self.modern.is_none() && self.message.method() == method::INITIALIZE
    }

    async fn make(&self) -> Result<(), RemoteFailure> {
        let (mut was_broken, mut was_renewed, mut was_mirrored) = (false, false, false);
        loop {
            if let Some(error) = self.know_mirrors().await {
                self.wire.answer(&self.id, &error).await;
                return Ok(());
            }
            let listings = self.wire.server.mirrors().listings();
            let (headers, epoch) = self.head();
            let response = match self.wire.post(self.message.bytes().clone(), headers).await {
                Err(RemoteFailure::Broken) if self.is_safe() && !was_broken => {
                    was_broken = true;
                    continue;
                }
                result => result?,
            };
            self.is_taken.store(true, Ordering::Relaxed);
            let _answering = self.permit.as_ref().map(|_| self.wire.count_answer());
            if response.status().is_success() {
                match self.take(response).await {
                    Err(RemoteFailure::Broken) if self.is_safe() && !was_broken => {
                        was_broken = true;
                        continue;
                    }
                    result => return result,
                }
            }
            let refusal = Refusal::read(response).await;
            match epoch {
                _ if refusal.is_header_mismatch() && self.tool().is_some() && !was_mirrored => {
                    was_mirrored = true;
                    self.wire.read_tools(listings).await;
                }
                Some(_) if refusal.is_unknown_session() && was_renewed => {
                    return Err(RemoteFailure::SessionGone);
                }
                Some(epoch) if refusal.is_unknown_session() => {
                    self.wire.renew(epoch).await?;
                    self.wire.listening().await;
                    was_renewed = true;
                }
                _ => return self.refused(&refusal).await,
            }
        }
    }

    /// Returns the tool that is called, where heads mirror arguments: in the modern era, over Streamable HTTP.
    fn tool(&self) -> Option<&str> {
        let modern = self.modern.as_ref()?;
        modern.tool().filter(|_| self.wire.shape == Shape::Streamable)
    }

    /// Sees to it that it is known what the head of a call mirrors; returns what is answered to one of a tool that may
    /// not be called over HTTP.
    async fn know_mirrors(&self) -> Option<ErrorObject> {
        let tool = self.tool()?;
        let mirrors = self.wire.server.mirrors();
        if !mirrors.is_whole() {
            self.wire.read_tools(mirrors.listings()).await;
        }
        let error = mirrors.refusal(tool)?;
        let text = format!("the tool cannot be called over HTTP: {error}");
        Some(ErrorObject::new(code::INVALID_PARAMS, text))
    }

    /// Returns the headers, and the session that they name.
    fn head(&self) -> (HeaderMap, Option<Epoch>) {
        if let Some(modern) = &self.modern {
            return (modern.headers(&self.message, self.wire.server.mirrors()), None);
        }
        let mut headers = HeaderMap::new();
        let epoch = self.wire.session.write(&mut headers);
        (headers, Some(epoch).filter(|epoch| epoch.has_id))
    }

    /// Learns from a list of tools what the heads of calls mirror; leaves out those that are not to be called.
    fn learn(&self, frame: Frame) -> Frame {
        let lists = self.modern.is_some() && self.message.method() == method::TOOLS_LIST;
        match &frame {
            Frame::Line(text) if lists => match Message::parse(text.clone(), SCAN) {
                Ok(answer) if answer.id() == Some(&self.id) => {
                    self.wire.learn(&answer).map_or(frame, Frame::Line)
                }
                _ => frame,
            },
            _ => frame,
        }
    }

    fn is_safe(&self) -> bool {
        SAFE.contains(&&*self.message.method())
    }

    async fn take(&self, mut response: Response) -> Result<(), RemoteFailure> {
        if self.wire.shape == Shape::Classic {
            skip(&mut response).await; // the answer comes by the other stream
            return Ok(());
        }
        if matches!(response.status().as_u16(), 202 | 204) {
            return Err(RemoteFailure::WrongAnswer);
        }
        if self.opens_session() {
            self.wire
                .session
                .set_id(response.headers().get(header::SESSION_ID).cloned());
        }
        let mut body = Body::of(response, self.wire.server.line_max())?;
        self.wire.server.remember(self.wire.shape);
        let mut breaks = 0;
        loop {
            match body.next().await {
                Ok(Some(event)) => {
                    breaks = 0;
                    let data = self.learn(event.data);
                    if is_message(&event.kind) && self.wire.deliver(data, Some(&self.id)).await {
                        body.finish().await;
                        return Ok(());
                    }
                }
                Ok(None) if !body.is_stream() => return Err(RemoteFailure::WrongAnswer),
                Ok(None) | Err(RemoteFailure::Broken)
                    if self.modern.is_none() && body.last_id().is_some() && breaks < RESUMES_MAX =>
                {
                    breaks += 1;
                    self.resume(&mut body, breaks).await?;
                }
                Ok(None) => return Err(RemoteFailure::Broken),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Opens a stream again that broke, if the server has it; the next look at the body tells.
    async fn resume(&self, body: &mut Body, breaks: u32) -> Result<(), RemoteFailure> {
        let pause = body.retry().unwrap_or(RETRY * breaks).max(RETRY_MIN);
        tokio::time::sleep(pause).await;
        let mut headers = HeaderMap::new();
        self.wire.session.write(&mut headers);
        if let Some(id) = body
            .last_id()
            .and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok())
        {
            headers.insert(header::LAST_EVENT_ID, id);
        }
        match self.wire.listen(headers).await {
            Ok(response) if response.status().is_success() => match body.resume_with(response) {
                true => Ok(()),
                false => Err(RemoteFailure::ContentType),
            },
            Ok(_) => Err(RemoteFailure::Broken),
            Err(failure) => {
                self.wire
                    .log
                    .say(format_args!("a stream could not be resumed: {failure}"));
                Ok(())
            }
        }
    }

    /// Passes on what the server says with a status that says no.
    async fn refused(&self, refusal: &Refusal) -> Result<(), RemoteFailure> {
        let failure = RemoteFailure::of_status(refusal.status);
        if self.opens_session() && refusal.suggests_sse() && self.wire.server.may_fall_back(self.wire.shape) {
            self.wire
                .end(Ending::FallBack(self.message.bytes().clone(), failure));
            return Ok(());
        }
        let Some(error) = refusal.error() else {
            return Err(failure);
        };
        self.wire.log.say(format_args!(
            "{} was refused with HTTP status {}",
            self.message.method(),
            refusal.status
        ));
        let mut line = Vec::new();
        write_answer(&self.id, error.get(), &mut line);
        self.wire.send(line.into()).await;
        Ok(())
    }
}

/// Writes an answer with the error that a server gave.
fn write_answer(id: &RequestId, error: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(br#","error":"#);
    out.extend(
        error
            .bytes()
            .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }),
    );
    out.push(b'}');
}

/// Returns whether an event is one that MCP sends.
pub(super) fn is_message(kind: &str) -> bool {
    matches!(kind, "" | "message")
}
