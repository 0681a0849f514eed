//! The body of an answer: one JSON text, or events as they come.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;

use super::client::{EVENTS, JSON};
use super::failure::RemoteFailure;
use crate::protocol::framing::Frame;
use crate::protocol::sse::{EventParser, SseEvent};

/// How long and how far a body is read on that has said everything, so that its connection can be used again.
const REST_TIME: Duration = Duration::from_secs(1);
const REST_BYTES: usize = 64 * 1024;
/// Most bytes of the body of a refusal.
const REFUSAL_BYTES: usize = 64 * 1024;

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Body {
    response: Response,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    /// A text of at most so many bytes; `None` when it has been read.
    Json(Option<usize>),
    Events(Box<EventParser>),
}

impl Body {
    /// Returns the body of an answer, message by message of at most `line_max` bytes.
    ///
    /// # Errors
    /// It is neither JSON nor an event stream.
    pub(super) fn of(response: Response, line_max: usize) -> Result<Self, RemoteFailure> {
        let reader = match content_type(&response) {
            Some(kind) if kind.eq_ignore_ascii_case(JSON) => Reader::Json(Some(line_max)),
            Some(kind) if kind.eq_ignore_ascii_case(EVENTS) => {
                Reader::Events(Box::new(EventParser::new(line_max)))
            }
            _ => return Err(RemoteFailure::ContentType),
        };
        Ok(Self { response, reader })
    }

    /// Returns whether it is an event stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.reader, Reader::Events(_))
    }

    /// Returns the next event, or the JSON text as one; `None` at the end. Cancel safe.
    ///
    /// # Errors
    /// The connection broke, or a JSON text is over the limit.
    pub(super) async fn next(&mut self) -> Result<Option<SseEvent>, RemoteFailure> {
        let parser = match &mut self.reader {
            Reader::Events(parser) => parser,
            Reader::Json(limit) => {
                let Some(limit) = limit.take() else {
                    return Ok(None);
                };
                let data = Frame::Line(collect(&mut self.response, limit).await?);
                let kind = String::new();
                return Ok(Some(SseEvent { kind, data }));
            }
        };
        loop {
            if let Some(event) = parser.next_event() {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => parser.feed(&chunk),
                Ok(None) => return Ok(None),
                Err(_) => return Err(RemoteFailure::Broken),
            }
        }
    }

    /// Returns the id of the last event, if the stream gives any.
    pub(super) fn last_id(&self) -> Option<&str> {
        match &self.reader {
            Reader::Events(parser) => Some(parser.last_id()).filter(|id| !id.is_empty()),
            Reader::Json(_) => None,
        }
    }

    /// Returns how long the server wants to be left alone before its stream is opened again.
    pub(super) fn retry(&self) -> Option<Duration> {
        match &self.reader {
            Reader::Events(parser) => parser.retry().map(Duration::from_millis),
            Reader::Json(_) => None,
        }
    }

    /// Goes on with the stream that an answer brings; `false` if it brings none.
    pub(super) fn resume_with(&mut self, response: Response) -> bool {
        let is_stream = content_type(&response).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS));
        if let Reader::Events(parser) = &mut self.reader
            && is_stream
        {
            parser.restart();
            self.response = response;
            return true;
        }
        false
    }

    /// Reads what is left of a body that has said everything: nothing, where the server keeps to the rules.
    pub(super) async fn finish(mut self) {
        skip(&mut self.response).await;
    }
}

/// Reads what is left of a body that does not matter, within limits.
pub(super) async fn skip(response: &mut Response) {
    let rest = async {
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > REST_BYTES {
                break;
            }
        }
    };
    // Whoever goes on after its last word loses the connection, which was only kept to be used again.
    let _ = tokio::time::timeout(REST_TIME, rest).await;
}

/// Returns the body of a refusal as far as it is JSON of a reasonable length.
pub(super) async fn refusal_text(mut response: Response) -> Option<Bytes> {
    let is_json = content_type(&response).is_some_and(|kind| kind.eq_ignore_ascii_case(JSON));
    let text = collect(&mut response, REFUSAL_BYTES);
    let text = tokio::time::timeout(REST_TIME, text).await.ok()?.ok()?;
    is_json.then_some(text)
}

async fn collect(response: &mut Response, limit: usize) -> Result<Bytes, RemoteFailure> {
    let mut text = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| RemoteFailure::Broken)? {
        if text.len() + chunk.len() > limit {
            return Err(RemoteFailure::Oversized);
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text.freeze())
}

/// Returns the type without its parameters.
fn content_type(response: &Response) -> Option<&str> {
    let value = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}
