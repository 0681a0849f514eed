//! The schedule: what is to be done later, done by one thread in order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

/// Jobs and their times. Jobs must be short and never wait.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    /// Keeps jobs of the same instant in the order they came.
    entered: u64,
}

struct Entry {
    due: Instant,
    number: u64,
    job: Job,
}

impl Schedule {
    /// Has `job` done after `delay`.
    pub(crate) fn after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let due = Instant::now() + delay;
        let mut queue = self.lock();
        queue.entered += 1;
        let number = queue.entered;
        let is_next = queue.entries.peek().is_none_or(|Reverse(next)| due < next.due);
        queue.entries.push(Reverse(Entry {
            due,
            number,
            job: Box::new(job),
        }));
        drop(queue);
        if is_next {
            self.changed.notify_one();
        }
    }

    /// Does the jobs for as long as the process lives: the body of the schedule's thread.
    pub(crate) fn run_forever(&self) {
        loop {
            (self.wait_for_next())();
        }
    }

    fn wait_for_next(&self) -> Job {
        let mut queue = self.lock();
        loop {
            let Some(Reverse(next)) = queue.entries.peek() else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = next.due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return queue.entries.pop().expect("an entry was just seen").0.job;
            }
            queue = self
                .changed
                .wait_timeout(queue, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Queue")
            .field("waiting", &self.entries.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn jobs_are_done_in_order_of_their_time_and_then_of_their_coming() {
        let schedule = Arc::new(Schedule::default());
        let (tx, rx) = mpsc::channel();
        let worker = Arc::clone(&schedule);
        for (delay, name) in [(40, "d"), (20, "b"), (20, "c"), (0, "a")] {
            let tx = tx.clone();
            schedule.after(Duration::from_millis(delay), move || {
                tx.send(name).expect("the test listens")
            });
        }
        std::thread::spawn(move || worker.run_forever());
        let order: Vec<&str> = (0..4)
            .map(|_| rx.recv_timeout(Duration::from_secs(10)).unwrap())
            .collect();
        assert_eq!(order.concat(), "abcd");
    }
}
