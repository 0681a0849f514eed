//! Server-sent events (WHATWG HTML, "Server-sent events"): bytes in, events out, with a limit.

use bytes::{Buf, BytesMut};

use super::framing::{Dropping, Frame};

/// The longest id that is kept, in bytes; a longer one is as none.
const ID_MAX: usize = 4 * 1024;
/// The longest type that is kept, in bytes; the types of MCP are shorter.
const KIND_MAX: usize = 64;

/// One event that has data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field; empty where there was none, which means `message`.
    pub kind: String,
    /// The lines of `data`, joined by line feeds; or what is left of data over the limit.
    pub data: Frame,
}

/// Cuts a stream into events. Feed it, then take events until there are none. What the stream ends with, if that is no
/// whole event, is dropped, as the standard says.
#[derive(Debug)]
pub struct EventParser {
    /// The line that has not ended yet.
    buffer: BytesMut,
    /// How far the buffer has been searched for a line end.
    searched: usize,
    event_max: usize,
    has_begun: bool,
    /// Whether a line feed that comes next belongs to the carriage return before it.
    skips_line_feed: bool,
    /// Within a line over the limit: whether it is data.
    long_line: Option<bool>,
    data: BytesMut,
    has_data: bool,
    dropping: Option<Dropping>,
    kind: String,
    id: Option<String>,
    last_id: String,
    retry: Option<u64>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl EventParser {
    /// Returns a parser for events of at most `event_max` bytes of data.
    pub fn new(event_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            event_max,
            has_begun: false,
            skips_line_feed: false,
            long_line: None,
            data: BytesMut::new(),
            has_data: false,
            dropping: None,
            kind: String::new(),
            id: None,
            last_id: String::new(),
            retry: None,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the id of the last event that was whole, also of one without data; empty if there was none.
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// Returns how long to wait before the stream is opened again, in milliseconds, if the server said so.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Forgets what has not become a whole event: the stream goes on elsewhere.
    pub fn restart(&mut self) {
        let retry = self.retry;
        let last_id = std::mem::take(&mut self.last_id);
        *self = Self {
            last_id,
            retry,
            ..Self::new(self.event_max)
        };
    }

    /// Returns the next event with data, or `None` until more bytes have come.
    pub fn next_event(&mut self) -> Option<SseEvent> {
        if !self.has_begun && !self.begin() {
            return None;
        }
        loop {
            if self.skips_line_feed && !self.buffer.is_empty() {
                self.skips_line_feed = false;
                if self.buffer[0] == b'\n' {
                    self.buffer.advance(1);
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.searched..]) else {
                self.searched = self.buffer.len();
                self.shorten();
                return None;
            };
            let line = self.buffer.split_to(self.searched + end);
            self.searched = 0;
            self.skips_line_feed = self.buffer[0] == b'\r';
            self.buffer.advance(1);
            if let Some(event) = self.take_line(&line) {
                return Some(event);
            }
        }
    }

    /// Passes over the byte order mark; `false` until it is known whether there is one.
    fn begin(&mut self) -> bool {
        if self.buffer.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.advance(BYTE_ORDER_MARK.len());
        }
        self.has_begun = true;
        true
    }

    /// Drops the beginning of a line that has become too long.
    fn shorten(&mut self) {
        if self.long_line.is_none() && self.buffer.len() <= self.event_max.saturating_add(KIND_MAX) {
            return;
        }
        let part = self.buffer.split();
        self.searched = 0;
        match self.long_line {
            Some(true) => self.drop_data(&part),
            Some(false) => {}
            None => {
                let data = part.strip_prefix(b"data:");
                self.long_line = Some(data.is_some());
                if let Some(data) = data {
                    self.join_data();
                    self.drop_data(data.strip_prefix(b" ").unwrap_or(data));
                }
            }
        }
    }

    /// The event is over the limit: from here on only its ends are kept.
    fn drop_data(&mut self, part: &[u8]) {
        let before = self.data.split();
        let dropping = self.dropping.get_or_insert_with(|| Dropping::new(&before));
        dropping.add(part);
    }

    fn take_line(&mut self, line: &[u8]) -> Option<SseEvent> {
        match self.long_line.take() {
            Some(true) => self.drop_data(line),
            Some(false) => {}
            None if line.is_empty() => return self.dispatch(),
            None => self.take_field(line),
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        if let Some(id) = self.id.take() {
            self.last_id = id;
        }
        let kind = std::mem::take(&mut self.kind);
        let has_data = std::mem::take(&mut self.has_data);
        let data = match self.dropping.take() {
            Some(dropping) => dropping.finish(&[]),
            None => Frame::Line(self.data.split().freeze()),
        };
        // A priming event has an id and empty data: there is nothing to dispatch.
        (has_data && data != Frame::Line(bytes::Bytes::new())).then_some(SseEvent { kind, data })
    }

    fn take_field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.take_data(value),
            b"event" => {
                self.kind = String::from_utf8_lossy(&value[..value.len().min(KIND_MAX)]).into_owned();
            }
            b"id" if value.len() <= ID_MAX && !value.contains(&0) => {
                self.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            }
            _ => {} // A comment, which keeps the connection alive, or a field of somebody else's.
        }
    }

    fn take_data(&mut self, value: &[u8]) {
        self.join_data();
        if self.dropping.is_some() || self.data.len() + value.len() > self.event_max {
            self.drop_data(value);
        } else {
            self.data.extend_from_slice(value);
        }
    }

    /// Begins one more line of data.
    fn join_data(&mut self) {
        let joins = std::mem::replace(&mut self.has_data, true);
        match &mut self.dropping {
            Some(dropping) if joins => dropping.add(b"\n"),
            None if joins => self.data.extend_from_slice(b"\n"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::framing::{EDGE_MAX, id_of_oversized};

    fn event(kind: &str, data: &str) -> SseEvent {
        SseEvent {
            kind: kind.to_owned(),
            data: Frame::Line(Bytes::copy_from_slice(data.as_bytes())),
        }
    }

    /// Reads a text in pieces of every size; all must come to the same.
    #[track_caller]
    fn check(text: &[u8], expect: &[SseEvent], last_id: &str, retry: Option<u64>) {
        for size in 1..=text.len() {
            let mut parser = EventParser::new(100);
            let mut seen = Vec::new();
            for piece in text.chunks(size) {
                parser.feed(piece);
                seen.extend(std::iter::from_fn(|| parser.next_event()));
            }
            assert_eq!(seen, expect, "in pieces of {size}");
            assert_eq!(
                (parser.last_id(), parser.retry()),
                (last_id, retry),
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text = b": hello\n\nid: 7\nretry: 250\ndata:\n\nevent: endpoint\r\ndata: /a\r\ndata: b\r\n\r\ndata:{}\n\ndata: cut off";
        check(
            text,
            &[event("endpoint", "/a\nb"), event("", "{}")],
            "7",
            Some(250),
        );
        check(
            b"data: a\rdata:  b\r\rdata\n\ndata: c\r\n\r\n",
            &[event("", "a\n b"), event("", "c")],
            "",
            None,
        );
        check(b"data\ndata\n\n", &[event("", "\n")], "", None);
        check(b"\xef\xbb\xbfdata: a\n\n", &[event("", "a")], "", None);
        check(b"\xef\xbbdata: a\n\n", &[], "", None);
        check("data: ü\nevent: ü\n\n".as_bytes(), &[event("ü", "ü")], "", None);
    }

    #[test]
    fn ids_and_times_count_only_as_the_standard_says() {
        check(
            b"id: 1\n\nid: 2\ndata: a\n\nid: 3\ndata: b\n",
            &[event("", "a")],
            "2",
            None,
        );
        check(b"id: 1\n\nid: a\0b\n\n", &[], "1", None);
        check(b"id: 1\n\nid\n\n", &[], "", None);
        check(b"retry: 1x\nretry: -1\nretry:\n\n", &[], "", None);
        check(b"retry: 99999999999999999999999\n\n", &[], "", None);
    }

    #[test]
    fn long_ids_are_as_none_and_long_types_are_cut() {
        let mut parser = EventParser::new(10 * ID_MAX);
        let (longest, kind) = ("i".repeat(ID_MAX), "k".repeat(KIND_MAX + 1));
        parser.feed(format!("id: {longest}\n\nid: {longest}i\nevent: {kind}\ndata: a\n\n").as_bytes());
        assert_eq!(parser.next_event(), Some(event(&kind[..KIND_MAX], "a")));
        assert_eq!(parser.last_id(), longest);
    }

    #[test]
    fn events_over_the_limit_show_their_ends_and_the_next_one_comes_whole() {
        let filler = "x".repeat(400);
        let text = format!(
            "data: {{\"id\":7,\ndata: \"result\":\"{filler}\ndata: {filler}\"}}\n\nevent: next\ndata: a\n\n"
        );
        for size in [1, 7, 64, 5000] {
            let mut parser = EventParser::new(100);
            let mut seen = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                parser.feed(piece);
                seen.extend(std::iter::from_fn(|| parser.next_event()));
            }
            let Frame::Oversized { length, head, tail } = &seen[0].data else {
                panic!("{seen:?}")
            };
            assert_eq!((*length, tail.len()), (822, EDGE_MAX), "in pieces of {size}");
            assert_eq!(id_of_oversized(head, tail), Some(7));
            assert_eq!(seen[1..], [event("next", "a")]);
        }
    }

    #[test]
    fn holds_no_more_than_the_limit_whatever_the_line_is() {
        for beginning in ["data: ", ": ", "id: ", "x"] {
            let mut parser = EventParser::new(1000);
            parser.feed(beginning.as_bytes());
            for _ in 0..1000 {
                parser.feed(&[b'x'; 1000]);
                assert_eq!(parser.next_event(), None);
                assert!(parser.buffer.len() + parser.data.len() <= 3000);
            }
        }
    }

    #[test]
    fn a_stream_that_goes_on_elsewhere_begins_with_a_whole_event() {
        let mut parser = EventParser::new(100);
        parser.feed(b"retry: 5\nid: 1\ndata: a\n\ndata: half");
        assert_eq!(parser.next_event(), Some(event("", "a")));
        assert_eq!(parser.next_event(), None);
        parser.restart();
        parser.feed(b"data: whole\n\n");
        assert_eq!(parser.next_event(), Some(event("", "whole")));
        assert_eq!((parser.last_id(), parser.retry()), ("1", Some(5)));
    }
}
