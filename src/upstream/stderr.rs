//! A server's stderr: to our log at a bounded rate, and its last lines kept for diagnosis.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::protocol::framing::{Frame, LineDecoder};

/// A line longer than this is cut, in bytes.
const LINE_MAX: usize = 8 * 1024;

/// The last lines of a server, over all generations of an instance.
#[derive(Debug)]
pub struct StderrTail {
    lines: Mutex<VecDeque<String>>,
    lines_max: usize,
}

impl StderrTail {
    /// Returns an empty tail of at most `lines_max` lines.
    pub fn new(lines_max: usize) -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            lines_max,
        })
    }

    /// Returns the last lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .expect("no holder panics")
            .iter()
            .cloned()
            .collect()
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock().expect("no holder panics");
        if lines.len() >= self.lines_max {
            lines.pop_front();
        }
        if self.lines_max > 0 {
            lines.push_back(line);
        }
    }
}

/// Reads stderr to its end.
pub(super) async fn follow(mut pipe: impl AsyncRead + Unpin, tail: Arc<StderrTail>, lines_per_second: u32) {
    let mut decoder = LineDecoder::new(LINE_MAX);
    let mut rate = Rate::new(lines_per_second);
    loop {
        let read = pipe.read_buf(decoder.buffer()).await;
        while let Some(frame) = decoder.next_frame() {
            note(frame, &tail, &mut rate);
        }
        if !read.is_ok_and(|count| count > 0) {
            break;
        }
    }
    if let Some(frame) = decoder.finish() {
        note(frame, &tail, &mut rate);
    }
    rate.report();
}

fn note(frame: Frame, tail: &StderrTail, rate: &mut Rate) {
    let line = match frame {
        Frame::Line(line) => String::from_utf8_lossy(&line).into_owned(),
        Frame::Oversized { length, head, .. } => {
            format!("{}… ({length} bytes)", String::from_utf8_lossy(&head))
        }
    };
    if rate.admits(Instant::now()) {
        info!(target: "upstream::stderr", "{line}");
    }
    tail.push(line);
}

/// At most so many lines a second; the rest is counted and reported with the first line after that second.
struct Rate {
    limit: u32,
    since: Instant,
    admitted: u32,
    suppressed: u64,
}

impl Rate {
    fn new(limit: u32) -> Self {
        Self {
            limit,
            since: Instant::now(),
            admitted: 0,
            suppressed: 0,
        }
    }

    fn admits(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.report();
            self.since = now;
            self.admitted = 0;
        }
        let admits = self.admitted < self.limit;
        if admits {
            self.admitted += 1;
        } else {
            self.suppressed += 1;
        }
        admits
    }

    fn report(&mut self) {
        if self.suppressed > 0 {
            warn!(target: "upstream::stderr", suppressed = self.suppressed, "lines over stderr-rate were not logged");
            self.suppressed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_the_last_lines_and_cuts_long_ones() {
        let tail = StderrTail::new(3);
        let long = "x".repeat(LINE_MAX + 1);
        let text = format!("one\ntwo\n{long}\nfour\nfive");
        follow(text.as_bytes(), tail.clone(), 1).await;
        let lines = tail.lines();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with("… (8193 bytes)"), "{}", lines[0]);
        assert_eq!(lines[1..], ["four", "five"]);
    }

    #[test]
    fn admits_so_many_a_second() {
        let mut rate = Rate::new(2);
        let now = rate.since;
        assert!(rate.admits(now) && rate.admits(now));
        assert!(!rate.admits(now));
        assert_eq!(rate.suppressed, 1);
        assert!(rate.admits(now + Duration::from_secs(1)));
        assert_eq!(rate.suppressed, 0);
    }
}
