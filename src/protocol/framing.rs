//! Line-delimited JSON (the stdio transport's framing): bytes in, lines out, with a limit.

use bytes::{Bytes, BytesMut};

/// What came out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole line without its end; never empty.
    Line(Bytes),
    /// A line over the limit, which was dropped as it came.
    Oversized {
        /// Its length in bytes so far or in all.
        length: usize,
        /// Its first bytes, up to [`EDGE_MAX`].
        head: Bytes,
        /// Its last bytes, up to [`EDGE_MAX`].
        tail: Bytes,
    },
}

/// How much of each end of an oversized line is kept: enough to find an id in it.
pub const EDGE_MAX: usize = 256;

/// Cuts a stream into lines. Feed it by [`LineDecoder::buffer`], then take frames until there are none.
#[derive(Debug)]
pub struct LineDecoder {
    buffer: BytesMut,
    /// How far the buffer has been searched for a line end.
    searched: usize,
    line_max: usize,
    dropping: Option<Dropping>,
}

/// What is kept of a text over its limit while the rest of it passes.
#[derive(Debug)]
pub(super) struct Dropping {
    length: usize,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl LineDecoder {
    /// Returns a decoder for lines of at most `line_max` bytes.
    pub fn new(line_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            line_max,
            dropping: None,
        }
    }

    /// Returns the buffer that the next bytes of the stream are to be appended to.
    pub fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(16 * 1024);
        &mut self.buffer
    }

    /// Returns the next frame, or `None` until more bytes have come. Empty lines are passed over.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]) else {
                self.searched = self.buffer.len();
                if self.buffer.len() > self.line_max || self.dropping.is_some() {
                    self.drop_part();
                }
                return None;
            };
            let line = self.buffer.split_to(self.searched + end + 1).freeze();
            self.searched = 0;
            let line = without_line_end(line);
            if let Some(dropping) = self.dropping.take() {
                return Some(dropping.finish(&line));
            }
            if line.len() > self.line_max {
                return Some(Dropping::new(&line).finish(&[]));
            }
            if !line.is_empty() {
                return Some(Frame::Line(line));
            }
        }
    }

    /// Returns what the stream ended with, if that was not a line end.
    pub fn finish(&mut self) -> Option<Frame> {
        let rest = self.buffer.split().freeze();
        self.searched = 0;
        let line = without_line_end(rest);
        match self.dropping.take() {
            Some(dropping) => Some(dropping.finish(&line)),
            None if line.is_empty() => None,
            None => Some(Frame::Line(line)),
        }
    }

    fn drop_part(&mut self) {
        let part = self.buffer.split();
        self.searched = 0;
        match &mut self.dropping {
            Some(dropping) => dropping.add(&part),
            None => self.dropping = Some(Dropping::new(&part)),
        }
    }
}

impl Dropping {
    pub(super) fn new(part: &[u8]) -> Self {
        let mut dropping = Self {
            length: 0,
            head: Vec::new(),
            tail: Vec::new(),
        };
        dropping.add(part);
        dropping
    }

    pub(super) fn add(&mut self, part: &[u8]) {
        self.length += part.len();
        let missing = EDGE_MAX - self.head.len();
        self.head.extend_from_slice(&part[..part.len().min(missing)]);
        self.tail
            .extend_from_slice(&part[part.len().saturating_sub(EDGE_MAX)..]);
        let excess = self.tail.len().saturating_sub(EDGE_MAX);
        self.tail.drain(..excess);
    }

    pub(super) fn finish(mut self, part: &[u8]) -> Frame {
        self.add(part);
        Frame::Oversized {
            length: self.length,
            head: self.head.into(),
            tail: self.tail.into(),
        }
    }
}

fn without_line_end(mut line: Bytes) -> Bytes {
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.truncate(line.len() - 1);
    }
    line
}

/// Returns the id of an answer of which only the ends are known, if they show it beyond doubt: the id as the first or
/// second member of the object or as the last one, and a result or an error as the first of the others. A request of
/// the server may carry the same number and means another one.
pub fn id_of_oversized(head: &[u8], tail: &[u8]) -> Option<i64> {
    let head = std::str::from_utf8(head).unwrap_or_else(|error| {
        std::str::from_utf8(&head[..error.valid_up_to()]).expect("valid up to there")
    });
    // Some servers put spaces between the members; those within strings do not matter here.
    let head: String = head.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let past_version = |members| str::strip_prefix(members, "\"jsonrpc\":\"2.0\",").unwrap_or(members);
    let members = past_version(head.strip_prefix('{')?);
    let (first_id, members) = match members
        .strip_prefix("\"id\":")
        .and_then(|rest| rest.split_once(','))
    {
        Some((id, members)) => (Some(id), past_version(members)),
        None => (None, members),
    };
    if !members.starts_with("\"result\":") && !members.starts_with("\"error\":") {
        return None;
    }
    let last_id = || {
        let tail = tail.trim_ascii_end().strip_suffix(b"}")?;
        let start = tail.iter().rposition(|byte| *byte == b',')?;
        let last = std::str::from_utf8(&tail[start + 1..]).ok()?;
        last.trim().strip_prefix("\"id\":")
    };
    first_id.or_else(last_id)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(decoder: &mut LineDecoder, chunk: &[u8]) -> Vec<Frame> {
        decoder.buffer().extend_from_slice(chunk);
        std::iter::from_fn(|| decoder.next_frame()).collect()
    }

    fn line(text: &str) -> Frame {
        Frame::Line(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn cuts_lines_wherever_the_chunks_end() {
        let text = b"one\n\r\ntwo\r\n\nthree\nrest";
        for size in 1..text.len() {
            let mut decoder = LineDecoder::new(100);
            let mut seen = Vec::new();
            for chunk in text.chunks(size) {
                seen.extend(frames(&mut decoder, chunk));
            }
            assert_eq!(
                seen,
                [line("one"), line("two"), line("three")],
                "chunks of {size}"
            );
            assert_eq!(decoder.finish(), Some(line("rest")));
            decoder.buffer().extend_from_slice(b"\r");
            assert_eq!(decoder.finish(), None, "an empty line is none");
        }
    }

    #[test]
    fn drops_lines_over_the_limit_and_goes_on() {
        for size in [1, 7, 100, 5000] {
            let mut decoder = LineDecoder::new(1000);
            let mut text = b"{\"id\":7,\"result\":".to_vec();
            text.extend(std::iter::repeat_n(b'x', 2991));
            text.extend_from_slice(b"\nnext\n");
            let mut seen = Vec::new();
            for chunk in text.chunks(size) {
                seen.extend(frames(&mut decoder, chunk));
            }
            let Frame::Oversized { length, head, tail } = &seen[0] else {
                panic!("{seen:?}")
            };
            assert_eq!((*length, tail.len()), (3008, EDGE_MAX), "chunks of {size}");
            assert_eq!(id_of_oversized(head, tail), Some(7));
            assert_eq!(seen[1..], [line("next")]);
        }
    }

    #[test]
    fn holds_no_more_than_the_limit() {
        let mut decoder = LineDecoder::new(1000);
        for _ in 0..1000 {
            assert_eq!(frames(&mut decoder, &[b'x'; 1000]), []);
            assert!(decoder.buffer.len() <= 2000);
        }
        let Some(Frame::Oversized { length, .. }) = decoder.finish() else {
            panic!("oversized")
        };
        assert_eq!(length, 1_000_000);
    }

    #[test]
    fn finds_ids_only_where_they_are_certain() {
        let check = |head: &str, tail: &str, expect| {
            assert_eq!(
                id_of_oversized(head.as_bytes(), tail.as_bytes()),
                expect,
                "{head} … {tail}"
            );
        };
        check(r#"{"jsonrpc":"2.0","id":12,"result":{"#, "}}", Some(12));
        check(
            r#"{"result":{"text":"aaa"#,
            r#"x"},"jsonrpc":"2.0","id":5}"#,
            Some(5),
        );
        check(r#"{"jsonrpc": "2.0", "id": 12, "result": {"#, "}}", Some(12));
        check(r#"{"id":12,"jsonrpc":"2.0","error":{"#, "}}", Some(12));
        check(r#"{"result": {"text": "aaa"#, r#"x"}, "id": 5}"#, Some(5));
        check(r#"{"jsonrpc":"2.0","id":12,"method":"roots/list","#, "}}", None);
        check(r#"{"method":"roots/list","params":{"#, r#"x"},"id":5}"#, None);
        check(r#"{"result":{"id":3,"#, r#""a":{"id":3}}}"#, None);
        check(
            r#"{"jsonrpc":"2.0","method":"n","params":{"id":1,"#,
            r#""b":1}}"#,
            None,
        );
    }
}
