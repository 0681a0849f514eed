//! What goes wrong on demand, around a server that does everything right.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::message;
use super::options::MockOptions;
use super::server::Answer;
use crate::protocol::RequestId;

/// The faults that touch requests and answers. A server without any has no `Faults` at all.
#[derive(Debug)]
pub(crate) struct Faults {
    delay: u64,
    delay_jitter: u64,
    hang_on: Vec<String>,
    crash_after: Option<u64>,
    crash_on: Vec<String>,
    malformed_on: Vec<String>,
    oversized_on: Vec<String>,
    oversized_bytes: usize,
    duplicate_answers: bool,
    unknown_ids: bool,
    garbage_every: Option<u64>,
    close_stdout_after: Option<u64>,
    stop_reading_after: Option<u64>,
    answers: AtomicU64,
    jitter_source: RandomState,
}

/// What is done with a request that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Handled,
    /// Handled, and nothing is read any more.
    HandledLast,
    Forgotten,
    Crash,
}

impl Faults {
    /// Returns the faults that the options ask for, if any.
    pub(crate) fn new(options: &MockOptions) -> Option<Self> {
        let mut hang_on = options.hang_on.clone();
        hang_on.extend(options.hang_handshake.then(|| "initialize".to_owned()));
        let faults = Self {
            delay: options.delay,
            delay_jitter: options.delay_jitter,
            hang_on,
            crash_after: options.crash_after,
            crash_on: options.crash_on.clone(),
            malformed_on: options.malformed_on.clone(),
            oversized_on: options.oversized_on.clone(),
            oversized_bytes: options.oversized_bytes,
            duplicate_answers: options.duplicate_answers,
            unknown_ids: options.unknown_ids,
            garbage_every: options
                .garbage_every
                .or(options.garbage.then_some(1))
                .map(|every| every.max(1)),
            close_stdout_after: options.close_stdout_after,
            stop_reading_after: options.stop_reading_after,
            answers: AtomicU64::new(0),
            jitter_source: RandomState::new(),
        };
        faults.any().then_some(faults)
    }

    fn any(&self) -> bool {
        let methods = [
            &self.hang_on,
            &self.crash_on,
            &self.malformed_on,
            &self.oversized_on,
        ];
        let counts = [
            self.crash_after,
            self.garbage_every,
            self.close_stdout_after,
            self.stop_reading_after,
        ];
        self.delay + self.delay_jitter > 0
            || self.duplicate_answers
            || self.unknown_ids
            || methods.iter().any(|methods| !methods.is_empty())
            || counts.iter().any(Option::is_some)
    }

    /// Decides about request `number`.
    pub(crate) fn arrival(&self, number: u64, method: &str) -> Arrival {
        if self.crash_after.is_some_and(|last| number >= last) || names(&self.crash_on, method) {
            return Arrival::Crash;
        }
        if names(&self.hang_on, method) {
            return Arrival::Forgotten;
        }
        if self.stop_reading_after.is_some_and(|last| number >= last) {
            return Arrival::HandledLast;
        }
        Arrival::Handled
    }

    /// Returns how long the next answer waits.
    pub(crate) fn delay(&self) -> Duration {
        if self.delay_jitter == 0 {
            return Duration::from_millis(self.delay);
        }
        let random = self.jitter_source.hash_one(self.answers.load(Relaxed));
        Duration::from_millis(self.delay + random % (self.delay_jitter + 1))
    }

    /// Appends an answer and all that goes wrong with it. Returns true after the last one before standard
    /// output is to be closed.
    pub(crate) fn write(
        &self,
        line: &mut Vec<u8>,
        id: &RequestId,
        method: &str,
        answer: &Answer<'_>,
    ) -> bool {
        let number = self.answers.fetch_add(1, Relaxed) + 1;
        if self
            .garbage_every
            .is_some_and(|every| number.is_multiple_of(every))
        {
            line.extend_from_slice(format!("garbage {number}: this line is not JSON {{[\n").as_bytes());
        }
        if self.unknown_ids {
            let id = RequestId::String(format!("nobody-asked-{number}").into());
            message::write_result(line, &id, "{}");
        }
        let times = if self.duplicate_answers { 2 } else { 1 };
        for _ in 0..times {
            self.write_once(line, id, method, answer);
        }
        self.close_stdout_after.is_some_and(|last| number >= last)
    }

    fn write_once(&self, line: &mut Vec<u8>, id: &RequestId, method: &str, answer: &Answer<'_>) {
        if names(&self.malformed_on, method) {
            message::write_result(line, id, "{\"broken\":");
            // Without the last brace.
            line.truncate(line.len() - 2);
            line.push(b'\n');
        } else if names(&self.oversized_on, method) {
            let padding = "x".repeat(self.oversized_bytes.saturating_sub(r#"{"padding":""}"#.len()));
            message::write_result(line, id, &format!("{{\"padding\":\"{padding}\"}}"));
        } else {
            answer.write(line, id);
        }
    }
}

fn names(methods: &[String], method: &str) -> bool {
    methods.iter().any(|name| name == method)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(faults: &Faults, method: &str) -> Vec<String> {
        let mut line = Vec::new();
        faults.write(&mut line, &1.into(), method, &Answer::Result("{\"ok\":true}"));
        String::from_utf8(line)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_well_behaved_server_has_none() {
        assert!(Faults::new(&MockOptions::default()).is_none());
    }

    #[test]
    fn garbage_duplicates_and_foreign_ids_come_with_the_answer() {
        let options = MockOptions {
            garbage_every: Some(2),
            duplicate_answers: true,
            unknown_ids: true,
            ..MockOptions::default()
        };
        let faults = Faults::new(&options).unwrap();
        assert_eq!(written(&faults, "ping").len(), 3);
        let second = written(&faults, "ping");
        assert_eq!(second.len(), 4);
        assert!(serde_json::from_str::<serde_json::Value>(&second[0]).is_err());
        assert!(second[1].contains("nobody-asked-2"));
        assert_eq!(second[2], second[3]);
    }

    #[test]
    fn one_method_may_be_broken_and_another_too_large() {
        let options = MockOptions {
            malformed_on: vec!["ping".into()],
            oversized_on: vec!["tools/list".into()],
            oversized_bytes: 1000,
            ..MockOptions::default()
        };
        let faults = Faults::new(&options).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&written(&faults, "ping")[0]).is_err());
        let large: serde_json::Value = serde_json::from_str(&written(&faults, "tools/list")[0]).unwrap();
        assert_eq!(large["result"].to_string().len(), 1000);
        assert_eq!(
            written(&faults, "other"),
            [r#"{"jsonrpc":"2.0","id":1,"result":{"ok":true}}"#]
        );
    }

    #[test]
    fn arrivals_are_counted_and_named() {
        let options = MockOptions {
            crash_after: Some(5),
            stop_reading_after: Some(3),
            hang_handshake: true,
            ..MockOptions::default()
        };
        let faults = Faults::new(&options).unwrap();
        assert_eq!(faults.arrival(1, "initialize"), Arrival::Forgotten);
        assert_eq!(faults.arrival(2, "ping"), Arrival::Handled);
        assert_eq!(faults.arrival(3, "ping"), Arrival::HandledLast);
        assert_eq!(faults.arrival(5, "ping"), Arrival::Crash);
    }

    #[test]
    fn jitter_stays_in_its_bounds_and_varies() {
        let options = MockOptions {
            delay: 10,
            delay_jitter: 5,
            ..MockOptions::default()
        };
        let faults = Faults::new(&options).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            written(&faults, "ping");
            let delay = faults.delay();
            assert!((10..=15).contains(&delay.as_millis()), "{delay:?}");
            seen.insert(delay);
        }
        assert!(seen.len() > 2, "{seen:?}");
    }
}
