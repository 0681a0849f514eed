//! The supervisor under thousands of seeded schedules of faults, on paused time, against scripted peers.
//!
//! Every schedule is one run of a whole pool: clients that ask, cancel and go away, operators who start, stop and
//! restart, and processes that fail in every way a [`Script`](script::Script) knows. The [`World`](world::World)
//! watches and notes whatever breaks a law. All of it follows from the seed, on one thread and without a real clock.
//!
//! - `PORTCULLIS_SIMULATION_SCHEDULES`: how many schedules; the soak uses many more.
//! - `PORTCULLIS_SIMULATION_SEED`: the first seed. With it and one schedule a failure is seen again, with all that happened.

mod actors;
pub(crate) mod dice;
mod messages;
mod peer;
mod phases;
mod schedule;
mod script;
mod single;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::support::number;

/// How many schedules run when nothing else is said.
const SCHEDULES: u64 = 10_000;
/// How long one schedule may take by the real clock: a supervisor that spins stops the paused one.
const REAL_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn no_schedule_of_faults_breaks_a_law() {
    let first = number("PORTCULLIS_SIMULATION_SEED", 1);
    let count = number("PORTCULLIS_SIMULATION_SCHEDULES", SCHEDULES);
    let next = Arc::new(AtomicU64::new(first));
    let (tx, results) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..workers {
        let (next, tx) = (Arc::clone(&next), tx.clone());
        thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count || tx.send((seed, None)).is_err() {
                    return;
                }
                let summary = schedule::run(seed);
                if tx.send((seed, Some(summary))).is_err() {
                    return;
                }
            }
        });
    }
    drop(tx);
    let total = collect(&results);
    assert_eq!(total.schedules, count);
    assert!(count < 100 || total.reached_everything(), "{total:?}");
}

/// Adds up the schedules; panics at the first one that broke a law or hung.
fn collect(results: &mpsc::Receiver<(u64, Option<world::Summary>)>) -> world::Summary {
    let mut total = world::Summary::default();
    let mut under_way = Vec::new();
    loop {
        match results.recv_timeout(REAL_LIMIT) {
            Ok((seed, None)) => under_way.push(seed),
            Ok((seed, Some(summary))) => {
                under_way.retain(|other| *other != seed);
                assert!(
                    summary.violations.is_empty(),
                    "PORTCULLIS_SIMULATION_SEED={seed} PORTCULLIS_SIMULATION_SCHEDULES=1 breaks these laws:\n{}\n\nwhat happened:\n{}",
                    summary.violations.join("\n"),
                    summary.history.join("\n"),
                );
                total.add(&summary);
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return total,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("one of PORTCULLIS_SIMULATION_SEED={under_way:?} hangs or spins")
            }
        }
    }
}
