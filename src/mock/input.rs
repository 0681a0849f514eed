//! Reading lines: big chunks in, every complete line of a chunk out, without a copy.

use std::io::{self, Read};

/// The first size of the buffer, and the one it goes back to after a long line.
const CHUNK: usize = 256 << 10;

/// A buffer over a reader that hands out complete lines.
#[derive(Debug)]
pub(crate) struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the first line not handed out begins.
    begin: usize,
    /// Up to where no line feed was found.
    searched: usize,
    /// Where the bytes read end.
    end: usize,
    line_max: usize,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(reader: R, line_max: usize) -> Self {
        Self {
            reader,
            buffer: vec![0; CHUNK],
            begin: 0,
            searched: 0,
            end: 0,
            line_max,
        }
    }

    /// Reads once, however much there is. Returns false at the end of the input.
    ///
    /// # Errors
    /// If reading fails, or (`InvalidData`) if a line is longer than allowed.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        self.make_room();
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.end += count;
                    return self.check_line().map(|()| true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the next complete line, without its line feed.
    pub(crate) fn next_line(&mut self) -> Option<&[u8]> {
        let Some(found) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) else {
            self.searched = self.end;
            return None;
        };
        let line = self.begin..self.searched + found;
        self.begin = line.end + 1;
        self.searched = self.begin;
        Some(&self.buffer[line])
    }

    /// Returns what stands behind the last line feed: a last line without one, at the end of the input.
    pub(crate) fn rest(&mut self) -> &[u8] {
        let rest = self.begin..self.end;
        self.begin = self.end;
        self.searched = self.end;
        &self.buffer[rest]
    }

    fn make_room(&mut self) {
        let kept = self.end - self.begin;
        if kept == 0 && self.buffer.len() > CHUNK {
            self.buffer = vec![0; CHUNK];
        } else if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
        }
        self.searched -= self.begin;
        self.end = kept;
        self.begin = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    fn check_line(&self) -> io::Result<()> {
        let line_feed_missing = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]).is_none();
        if line_feed_missing && self.end - self.begin > self.line_max {
            let message = format!("an input line is longer than {} bytes", self.line_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most `step` bytes at a time.
    struct Trickle<'a> {
        bytes: &'a [u8],
        step: usize,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(self.bytes.len()).min(into.len());
            into[..count].copy_from_slice(&self.bytes[..count]);
            self.bytes = &self.bytes[count..];
            Ok(count)
        }
    }

    fn lines_of(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut input = Input::new(Trickle { bytes, step }, 4 << 20);
        let mut lines = Vec::new();
        while input.fill().unwrap() {
            while let Some(line) = input.next_line() {
                lines.push(line.to_vec());
            }
        }
        lines.push(input.rest().to_vec());
        lines
    }

    #[test]
    fn lines_come_out_whole_however_they_are_cut() {
        let long = vec![b'x'; 3 * CHUNK];
        let text = [b"one\n\ntwo\n".as_slice(), &long, b"\nlast".as_slice()].concat();
        let expected = [b"one".as_slice(), b"", b"two", &long, b"last"];
        for step in [1009, 4096, CHUNK, usize::MAX] {
            assert_eq!(lines_of(&text, step), expected, "step {step}");
        }
        assert_eq!(lines_of(b"a\nb\n", 1), [b"a".as_slice(), b"b", b""]);
    }

    #[test]
    fn a_line_beyond_the_limit_is_an_error() {
        let bytes = vec![b'x'; 2 * CHUNK];
        let mut input = Input::new(bytes.as_slice(), CHUNK);
        let error = loop {
            match input.fill() {
                Ok(more) => assert!(more, "the limit was not noticed"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
