//! Server-sent events, read as the standard says.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use super::within;

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The `event` field; `message` where there was none.
    pub(crate) kind: String,
    /// The lines of `data`, joined.
    pub(crate) data: String,
    /// The `id` field of this event.
    pub(crate) id: Option<String>,
    /// The `retry` field in milliseconds.
    pub(crate) retry: Option<u64>,
}

impl Event {
    /// Returns the JSON in its data; panics if there is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// The events of one HTTP answer, as they come.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: Incoming,
    parser: Parser,
}

impl EventStream {
    pub(crate) fn new(body: Incoming) -> Self {
        Self {
            body,
            parser: Parser::default(),
        }
    }

    /// Returns the next event, or nothing when the stream has ended.
    ///
    /// Safe to drop while it waits: nothing that has been read is lost.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            let frame = within("the next event", self.body.frame()).await?;
            // A stream that breaks off has ended; what it owed shows in what did not come.
            let data: Bytes = frame.ok()?.into_data().unwrap_or_default();
            self.parser.feed(&data);
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    event: Event,
    has_fields: bool,
}

impl Parser {
    fn feed(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// Returns the next whole event. One without data counts too: MCP's priming event has only an id.
    fn next(&mut self) -> Option<Event> {
        while let Some(line) = self.line() {
            if !line.is_empty() {
                self.field(&line);
            } else if std::mem::take(&mut self.has_fields) {
                let mut event = std::mem::take(&mut self.event);
                event.data.pop();
                if event.kind.is_empty() {
                    event.kind.push_str("message");
                }
                return Some(event);
            }
        }
        None
    }

    /// Takes one line off the buffer, without its LF, CR or CRLF.
    fn line(&mut self) -> Option<String> {
        let end = memchr::memchr2(b'\n', b'\r', &self.buffer)?;
        let is_cr = self.buffer[end] == b'\r';
        if is_cr && end + 1 == self.buffer.len() {
            return None; // Whether an LF follows is not known yet.
        }
        let length = end + 1 + usize::from(is_cr && self.buffer[end + 1] == b'\n');
        let line = String::from_utf8(self.buffer[..end].to_vec()).expect("events are UTF-8");
        self.buffer.drain(..length);
        Some(line)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" => return, // A comment, which keeps the connection alive.
            "data" => self.event.data.extend([value, "\n"]),
            "event" => value.clone_into(&mut self.event.kind),
            "id" => self.event.id = Some(value.to_owned()),
            "retry" => self.event.retry = value.parse().ok(),
            _ => {}
        }
        self.has_fields = true;
    }
}

#[test]
fn events_are_the_same_however_they_are_cut() {
    let text = ": hello\n\nid: 7\nretry: 250\ndata:\n\nevent: endpoint\r\ndata: /a\r\ndata: b\r\n\r\ndata: {}\n\ndata: cut off";
    let event = |kind: &str, data: &str| Event {
        kind: kind.into(),
        data: data.into(),
        ..Event::default()
    };
    let priming = Event {
        id: Some("7".into()),
        retry: Some(250),
        ..event("message", "")
    };
    let expected = [priming, event("endpoint", "/a\nb"), event("message", "{}")];
    for size in 1..=text.len() {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            parser.feed(piece);
            events.extend(std::iter::from_fn(|| parser.next()));
        }
        assert_eq!(events, expected, "in pieces of {size}");
    }
}
