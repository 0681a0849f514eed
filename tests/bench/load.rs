//! One run of load against one side: N sessions, each with one request in flight, for a measured window.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::goals::Cell;
use crate::histogram::Histogram;
use crate::procfs::CpuTime;
use crate::session::Session;
use crate::side::Side;

/// How long an answer may be overdue before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What one run saw.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Requests answered rightly within the window, by latency.
    pub(crate) latencies: Histogram,
    /// Wrong, missing or broken answers, also outside the window.
    pub(crate) errors: u64,
    /// The first of them.
    pub(crate) first_error: Option<String>,
    /// The length of the window.
    pub(crate) elapsed: Duration,
    /// CPU time of the side within the window.
    pub(crate) cpu: CpuTime,
}

impl Outcome {
    /// Returns requests per second.
    pub(crate) fn throughput(&self) -> f64 {
        self.latencies.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// Returns microseconds of the serving process's CPU time for each request, its children left out.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.own.as_secs_f64() * 1e6 / self.latencies.count().max(1) as f64
    }

    fn fail(&mut self, error: &io::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }

    fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// Opens the cell's sessions, loads the side, measures the window and closes them.
pub(crate) async fn run(side: &Side, cell: Cell, warm_up: Duration, window: Duration) -> io::Result<Outcome> {
    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let mut sessions = JoinSet::new();
    for session in open(side, cell).await? {
        sessions.spawn(work(session, Arc::clone(&phase)));
    }
    tokio::time::sleep(warm_up).await;
    let (before, start) = (CpuTime::of(side.pid()), Instant::now());
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(window).await;
    phase.store(OVER, Ordering::Relaxed);
    let (elapsed, cpu) = (start.elapsed(), CpuTime::of(side.pid()).since(before));
    let mut outcome = Outcome {
        elapsed,
        cpu,
        ..Outcome::default()
    };
    collect(sessions, &mut outcome).await;
    Ok(outcome)
}

async fn open(side: &Side, cell: Cell) -> io::Result<Vec<Session>> {
    let mut sessions = Vec::new();
    for number in 0..cell.sessions() {
        let tag = format!("{}-{number:05}", std::process::id());
        let path = side.path(cell.is_modern());
        sessions.push(Session::open((side.address(), path), cell.is_modern(), tag, cell.payload()).await?);
    }
    Ok(sessions)
}

/// Calls until the run is over; a broken connection ends the session, a wrong answer does not.
async fn work(mut session: Session, phase: Arc<AtomicU8>) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        let start = Instant::now();
        let called = session.call().await;
        let latency = start.elapsed();
        match phase.load(Ordering::Relaxed) {
            OVER => break,
            MEASURING if called.is_ok() => outcome.latencies.record(latency),
            _ => {}
        }
        if let Err(error) = called {
            outcome.fail(&error);
            if error.kind() != io::ErrorKind::Other {
                return outcome;
            }
        }
    }
    if let Err(error) = session.close().await {
        outcome.fail(&error);
    }
    outcome
}

async fn collect(mut sessions: JoinSet<Outcome>, outcome: &mut Outcome) {
    let limit = tokio::time::Instant::now() + PATIENCE;
    loop {
        match tokio::time::timeout_at(limit, sessions.join_next()).await {
            Ok(Some(done)) => outcome.merge(done.expect("a session reports its errors, it does not panic")),
            Ok(None) => return,
            Err(_) => {
                outcome.errors += sessions.len() as u64;
                outcome
                    .first_error
                    .get_or_insert_with(|| "a request was never answered".to_owned());
                return;
            }
        }
    }
}
