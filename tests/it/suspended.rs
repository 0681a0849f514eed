//! Calls that wait for their clients, and all that may cross them meanwhile.
//!
//! A whole gateway on paused time and one thread, between clients and a server of the test's own: whatever happens,
//! happens when the test says so. [`scenes`] are the crossings that have a name; [`schedule`] has chance look for others,
//! and checks after each step that nothing was lost, mixed up or kept.
//!
//! - `PORTCULLIS_SUSPENDED_SCHEDULES`: how many schedules of chance.
//! - `PORTCULLIS_SUSPENDED_SEED`: the first seed. With it and one schedule a failure is seen again, with all that happened.

mod calls;
mod limits;
mod scenes;
mod schedule;
mod server;
mod tale;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};

use self::tale::Tally;
use crate::support::number;

/// How many schedules run when nothing else is said.
const SCHEDULES: u64 = 400;

#[test]
fn no_schedule_loses_mixes_up_or_keeps_a_call() {
    let first = number("PORTCULLIS_SUSPENDED_SEED", 1);
    let count = number("PORTCULLIS_SUSPENDED_SCHEDULES", SCHEDULES);
    let (next, total) = (AtomicU64::new(first), Mutex::new(Tally::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let outcome = schedule::run(seed);
            assert!(
                outcome.broken.is_empty(),
                "PORTCULLIS_SUSPENDED_SEED={seed} PORTCULLIS_SUSPENDED_SCHEDULES=1 breaks these laws:\n{}\n\nwhat happened:\n{}",
                outcome.broken.join("\n"),
                outcome.history.join("\n"),
            );
            total.lock().expect("no holder panics").add(&outcome.tally);
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let total = total.into_inner().expect("no holder panics");
    assert!(count < 100 || total.has_met_everything(), "{total:?}");
}

/// Returns what a client says that goes on with what `asked` asks: to each question `said`.
fn again(asked: &Value, said: impl Fn(&str) -> Option<Value>) -> Value {
    let requests = asked["result"]["inputRequests"].as_object();
    let requests = requests.unwrap_or_else(|| panic!("it asks nothing: {asked}"));
    let said = requests.iter().filter_map(|(key, request)| {
        let text = request["params"]["message"].as_str().expect("a question");
        Some((key.clone(), said(text)?))
    });
    let said: serde_json::Map<_, _> = said.collect();
    json!({ "inputResponses": said, "requestState": asked["result"]["requestState"] })
}

/// Returns what a client says to a question.
fn word(text: &str) -> Option<Value> {
    Some(json!({ "action": "accept", "content": { "said": text } }))
}

/// Returns the same with an answer to every question.
fn whole(asked: &Value) -> Value {
    again(asked, word)
}

/// Returns the questions that an answer asks.
fn asks(answer: &Value) -> Vec<String> {
    let requests = answer["result"]["inputRequests"].as_object();
    let texts = requests.into_iter().flatten();
    texts
        .map(|(_, request)| {
            request["params"]["message"]
                .as_str()
                .expect("a question")
                .to_owned()
        })
        .collect()
}
