//! The text of server-sent events, and the body that streams them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::timeout;

use super::reply::Response;
use crate::config::Config;
use crate::gateway::{Conversation, Session, Visit};
use crate::protocol::names::header;
use crate::session::OpenStream;
use crate::session::outbox::OutboxEvent;
use crate::session::{EventId, OutboxReader};

/// How the events of a stream look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventForm {
    /// With ids, by which an interrupted stream can go on (Streamable HTTP).
    Resumable,
    /// Without (HTTP+SSE; 2026-07-28).
    Plain,
}

/// What a stream begins with, before any message.
pub(super) type Prelude = Vec<u8>;

/// Returns the answer that streams to a client of Streamable HTTP, primed where its version knows that.
pub(super) fn resumable_stream(session: &Arc<Session>, reader: OutboxReader, config: &Config) -> Response {
    let prelude = match session.version().has_priming_event() {
        true => priming(&reader, config.sessions.retry),
        false => Vec::new(),
    };
    event_stream(
        session,
        reader,
        EventForm::Resumable,
        prelude,
        config.http.keep_alive,
    )
}

/// Returns the priming event: an id to resume from and the time to wait before, without data (SEP-1699).
fn priming(reader: &OutboxReader, retry: Duration) -> Prelude {
    let id = EventId {
        stream: reader.stream(),
        sequence: reader.position(),
    };
    format!("id: {id}\nretry: {}\ndata: \n\n", retry.as_millis()).into_bytes()
}

/// Returns the event that tells an HTTP+SSE client where to post (2024-11-05, "HTTP with SSE").
pub(super) fn endpoint(uri: &str) -> Prelude {
    format!("event: endpoint\ndata: {uri}\n\n").into_bytes()
}

/// Returns the answer that streams a session's messages until the stream is over or the client goes.
pub(super) fn event_stream(
    session: &Arc<Session>,
    reader: OutboxReader,
    form: EventForm,
    prelude: Prelude,
    keep_alive: Duration,
) -> Response {
    stream_of(session, reader, form, prelude, keep_alive, None)
}

/// Returns the answer that streams what there is to say to one request, until it is answered or the client goes.
pub(super) fn visiting_stream(visit: Visit, reader: OutboxReader, keep_alive: Duration) -> Response {
    let session = visit.session().clone();
    stream_of(
        &session,
        reader,
        EventForm::Plain,
        Vec::new(),
        keep_alive,
        Some(visit),
    )
}

fn stream_of(
    session: &Arc<Session>,
    reader: OutboxReader,
    form: EventForm,
    prelude: Prelude,
    keep_alive: Duration,
    visit: Option<Visit>,
) -> Response {
    let open = session.stream_opened();
    let body = Body {
        reader,
        form,
        prelude: (!prelude.is_empty()).then_some(prelude),
        keep_alive,
        _open: open,
        _visit: visit,
    };
    let mut response = super::reply::stream(body.into_stream());
    let headers = response.headers_mut();
    let set = |headers: &mut http::HeaderMap, name: &'static str, value: &'static str| {
        headers.insert(name, http::HeaderValue::from_static(value));
    };
    set(headers, "content-type", super::accept::EVENT_STREAM);
    set(headers, "cache-control", "no-cache, no-transform");
    set(headers, "x-accel-buffering", "no");
    if form == EventForm::Resumable {
        super::reply::set_session_id(headers, header::SESSION_ID, session.id());
    }
    response
}

struct Body {
    reader: OutboxReader,
    form: EventForm,
    prelude: Option<Prelude>,
    keep_alive: Duration,
    _open: OpenStream<Conversation>,
    /// Ends what is under way when the client goes.
    _visit: Option<Visit>,
}

impl Body {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + Sync {
        unfold(self, |mut body| async move {
            let chunk = body.next_chunk().await?;
            Some((Ok(chunk), body))
        })
    }

    /// Everything that waits leaves in one write.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        if let Some(prelude) = self.prelude.take() {
            return Some(prelude.into());
        }
        match timeout(self.keep_alive, self.reader.next()).await {
            Err(_) => Some(Bytes::from_static(b": keep-alive\n\n")),
            Ok(events) => Some(write_events(&events?, self.reader.stream(), self.form)),
        }
    }
}

fn write_events(events: &[OutboxEvent], stream: u32, form: EventForm) -> Bytes {
    use std::io::Write;
    let length: usize = events.iter().map(|event| event.data.len() + 64).sum();
    let mut out = Vec::with_capacity(length);
    for event in events {
        if form == EventForm::Resumable {
            let id = EventId {
                stream,
                sequence: event.sequence,
            };
            writeln!(out, "id: {id}").expect("writing to memory does not fail");
        }
        out.extend_from_slice(b"event: message\ndata: ");
        out.extend_from_slice(&event.data);
        out.extend_from_slice(b"\n\n");
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::outbox::{Outbox, OutboxLimits};

    #[test]
    fn the_form_of_events() {
        let events = [(7, "{\"a\":1}"), (8, "{}")].map(|(sequence, data)| OutboxEvent {
            sequence,
            data: Bytes::from_static(data.as_bytes()),
        });
        assert_eq!(
            write_events(&events, 3, EventForm::Resumable),
            "id: 3-7\nevent: message\ndata: {\"a\":1}\n\nid: 3-8\nevent: message\ndata: {}\n\n"
        );
        assert_eq!(
            write_events(&events[1..], 0, EventForm::Plain),
            "event: message\ndata: {}\n\n"
        );
        let outbox = Outbox::new(
            2,
            OutboxLimits {
                events_max: 1,
                bytes_max: 1,
            },
            None,
        );
        let reader = outbox.read_after(0);
        assert_eq!(
            priming(&reader, Duration::from_secs(1)),
            b"id: 2-0\nretry: 1000\ndata: \n\n"
        );
    }
}
