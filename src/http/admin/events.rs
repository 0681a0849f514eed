//! `GET /admin/v1/events`: the registry's events as server-sent events, from now on or from where a reader left off.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::super::accept::EVENT_STREAM;
use super::super::reply::{self, Response};
use super::error::AdminError;
use super::routes::AdminContext;
use crate::config::ServerName;
use crate::protocol::names::header;
use crate::registry::Event;
use crate::registry::events::EventStream;

/// Which events somebody wants.
#[derive(Debug)]
pub(super) struct EventRequest {
    /// Those after this one; those from now on without it.
    after: Option<u64>,
    /// Those of one server.
    server: Option<ServerName>,
}

impl EventRequest {
    /// Reads `Last-Event-ID` and `?server=`.
    pub(super) fn read(headers: &HeaderMap, query: &str) -> Result<Self, AdminError> {
        let refuse = |message: String| AdminError::BadRequest(message);
        let after = match headers.get(header::LAST_EVENT_ID) {
            None => None,
            Some(value) => {
                let number = value.to_str().ok().and_then(|text| text.parse().ok());
                Some(number.ok_or_else(|| refuse(format!("Last-Event-ID {value:?} is not a number")))?)
            }
        };
        let mut server = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some(name) = pair.strip_prefix("server=") else {
                return Err(refuse(format!("{pair:?} is not known; only server=NAME is")));
            };
            let name = name.parse().map_err(|error| refuse(format!("server: {error}")))?;
            server = Some(name);
        }
        Ok(Self { after, server })
    }
}

/// Streams the events until the reader goes or the gateway has stopped.
pub(super) fn stream(context: &AdminContext, request: EventRequest) -> Response {
    let reader = Reader {
        events: context.gateway.registry().events().subscribe(request.after),
        server: request.server,
        keep_alive: context.gateway.config().http.keep_alive,
        stopped: context.stopped.clone(),
        // Sent at once, so that a reader knows that it listens.
        waiting: VecDeque::from([Bytes::from_static(b": listening\n\n")]),
    };
    let mut response = reply::stream(reader.into_stream());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

struct Reader {
    events: EventStream,
    server: Option<ServerName>,
    keep_alive: Duration,
    stopped: CancellationToken,
    waiting: VecDeque<Bytes>,
}

impl Reader {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync {
        unfold(self, |mut reader| async move {
            let chunk = reader.next_chunk().await?;
            Some((Ok(chunk), reader))
        })
    }

    /// Everything that waits leaves in one write.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.waiting.pop_front() {
            return Some(chunk);
        }
        let keep_alive_due = Instant::now() + self.keep_alive;
        loop {
            let events = tokio::select! {
                biased; // what happened while stopping is still told
                events = timeout_at(keep_alive_due, self.events.next()) => events,
                () = self.stopped.cancelled() => return None,
            };
            let Ok(events) = events else {
                return Some(Bytes::from_static(b": keep-alive\n\n"));
            };
            let chunk = write_events(&events, self.server.as_ref());
            if !chunk.is_empty() {
                return Some(chunk);
            }
        }
    }
}

fn write_events(events: &[Arc<Event>], server: Option<&ServerName>) -> Bytes {
    use std::io::Write;
    let mut out = Vec::new();
    for event in events {
        if server.is_none_or(|server| event.subject.is_server(server)) {
            write!(out, "id: {}\nevent: {}\ndata: ", event.id, event.kind.as_str())
                .and_then(|()| serde_json::to_writer(&mut out, event).map_err(Into::into))
                .expect("writing to memory does not fail");
            out.extend_from_slice(b"\n\n");
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::events::{NewEvent, Subject};
    use crate::registry::{Actor, EventKind, EventLog};

    fn emit(log: &EventLog, server: &str) {
        log.emit(NewEvent {
            kind: EventKind::StatusChanged,
            subject: Subject::Server(server.parse().expect("a name")),
            actor: Actor::Admin,
            cause: "disabled".to_owned(),
            data: json!({ "status": "disabled" }),
        });
    }

    #[tokio::test]
    async fn the_form_of_events_and_the_filter() {
        let log = Arc::new(EventLog::new(8));
        ["a", "b", "a"].into_iter().for_each(|server| emit(&log, server));
        let events = log.subscribe(Some(0)).next().await;
        let only = "b".parse().expect("a name");
        let text = write_events(&events, Some(&only));
        let time = events[1].time;
        let expect = format!(
            "id: 2\nevent: server.status.changed\ndata: {{\"id\":2,\"time\":{time},\"type\":\"server.status.changed\",\
             \"server\":\"b\",\"actor\":\"admin\",\"cause\":\"disabled\",\"data\":{{\"status\":\"disabled\"}}}}\n\n"
        );
        assert_eq!(text, expect);
        let ids = |text: &[u8]| {
            let text = String::from_utf8_lossy(text).into_owned();
            text.lines()
                .filter(|line| line.starts_with("id:"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&write_events(&events, None)), ["id: 1", "id: 2", "id: 3"]);
    }

    #[test]
    fn what_can_be_asked_for() {
        let read = |last: Option<&'static str>, query: &str| {
            let mut headers = HeaderMap::new();
            if let Some(last) = last {
                headers.insert(header::LAST_EVENT_ID, HeaderValue::from_static(last));
            }
            EventRequest::read(&headers, query)
                .map(|request| (request.after, request.server.map(|name| name.to_string())))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read(None, ""), Ok((None, None)));
        assert_eq!(read(Some("7"), "server=a"), Ok((Some(7), Some("a".to_owned()))));
        assert_eq!(
            read(Some("x"), ""),
            Err("Last-Event-ID \"x\" is not a number".to_owned())
        );
        assert_eq!(
            read(None, "sever=a"),
            Err("\"sever=a\" is not known; only server=NAME is".to_owned())
        );
        assert!(read(None, "server=a%20b").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_kept_alive_tells_everything_and_ends_with_the_gateway() {
        let log = Arc::new(EventLog::new(8));
        let mut reader = Reader {
            events: log.subscribe(None),
            server: None,
            keep_alive: Duration::from_secs(30),
            stopped: CancellationToken::new(),
            waiting: VecDeque::new(),
        };
        assert_eq!(
            reader.next_chunk().await,
            Some(Bytes::from_static(b": keep-alive\n\n"))
        );
        emit(&log, "a");
        reader.stopped.cancel();
        assert!(
            reader
                .next_chunk()
                .await
                .is_some_and(|chunk| chunk.starts_with(b"id: 1\n"))
        );
        assert_eq!(reader.next_chunk().await, None);
    }
}
