//! `log`: a plugin's lines in the gateway's log, so many in a second.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, trace, warn};

use crate::plugin::bindings::host::log::{Host, Level};
use crate::plugin::error::cut;
use crate::plugin::state::State;

/// Longest text of one line, in bytes; the rest is cut off.
const LINE_MAX: usize = 4096;

/// Counts the lines of a plugin. A std mutex: held to count.
#[derive(Debug)]
pub(in crate::plugin) struct LogLimit {
    rate: u32,
    second: Mutex<Second>,
}

#[derive(Debug)]
struct Second {
    since: Instant,
    lines: u32,
    dropped: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Written,
    /// Written, after so many that were not.
    After(u64),
    Dropped,
}

impl LogLimit {
    /// Returns a limit of so many lines in a second.
    pub(in crate::plugin) fn new(rate: u32) -> Self {
        let second = Second {
            since: Instant::now(),
            lines: 0,
            dropped: 0,
        };
        Self {
            rate,
            second: Mutex::new(second),
        }
    }

    fn line(&self, now: Instant) -> Line {
        let mut second = self.second.lock().expect("no holder panics");
        let mut dropped = 0;
        if now.duration_since(second.since) >= Duration::from_secs(1) {
            dropped = std::mem::take(&mut second.dropped);
            second.since = now;
            second.lines = 0;
        }
        if second.lines >= self.rate {
            second.dropped += dropped + 1;
            return Line::Dropped;
        }
        second.lines += 1;
        if dropped > 0 {
            Line::After(dropped)
        } else {
            Line::Written
        }
    }
}

impl Host for State {
    fn write(
        &mut self,
        level: Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.count()?;
        let plugin = &*self.shared.name;
        match self.shared.log.line(Instant::now()) {
            Line::Dropped => return Ok(()),
            Line::After(dropped) => warn!(
                plugin,
                dropped, "lines of the plugin were not written: more than log-rate"
            ),
            Line::Written => {}
        }
        let fields: Vec<_> = fields
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let fields = cut(fields.join(" "), LINE_MAX);
        let line = cut(message, LINE_MAX);
        // As fields, which are escaped: a plugin cannot write what looks like a line of another.
        match level {
            Level::Trace => trace!(plugin, line, fields, "said by a plugin"),
            Level::Debug => debug!(plugin, line, fields, "said by a plugin"),
            Level::Info => info!(plugin, line, fields, "said by a plugin"),
            Level::Warn => warn!(plugin, line, fields, "said by a plugin"),
            Level::Error => error!(plugin, line, fields, "said by a plugin"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_in_a_second_and_the_next_one_says_how_many_were_dropped() {
        let limit = LogLimit::new(2);
        let start = limit.second.lock().expect("free").since;
        assert_eq!(limit.line(start), Line::Written);
        assert_eq!(limit.line(start), Line::Written);
        assert_eq!(limit.line(start), Line::Dropped);
        assert_eq!(limit.line(start), Line::Dropped);
        assert_eq!(limit.line(start + Duration::from_secs(1)), Line::After(2));
        assert_eq!(limit.line(start + Duration::from_secs(1)), Line::Written);
    }
}
