//! The messages of a server to one session, in their order while policies judge them.
//!
//! A message is judged where it arrives if none before it is still being judged; what has to wait is finished by one
//! task, which ends when the lane is empty.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::once::{Turn, begin};
use crate::session::Priority;
use crate::session::outbox::{Full, OutboxLimits};

/// The lane. A std mutex: held to put a message in or to take one out.
#[derive(Debug)]
pub(in super::super) struct Lane {
    tasks: TaskTracker,
    limits: OutboxLimits,
    queue: Mutex<Queue>,
    is_busy: AtomicBool,
    room: Notify,
}

#[derive(Default)]
struct Queue {
    turns: VecDeque<(usize, Turn)>,
    bytes: usize,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("turns", &self.turns.len())
            .field("bytes", &self.bytes)
            .finish()
    }
}

impl Lane {
    /// Returns an empty lane. `limits` are for what waits in it.
    pub(in super::super) fn new(tasks: TaskTracker, limits: OutboxLimits) -> Arc<Self> {
        Arc::new(Self {
            tasks,
            limits,
            queue: Mutex::default(),
            is_busy: AtomicBool::new(false),
            room: Notify::new(),
        })
    }

    /// Returns who reaps the tasks of its session's messages.
    pub(in super::super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Returns whether every message that came has been passed on. Only who brings the messages in their order can
    /// rely on it.
    pub(in super::super) fn is_idle(&self) -> bool {
        !self.is_busy.load(Ordering::Acquire)
    }

    /// Judges and passes on a message of `size` bytes when those before it have been.
    ///
    /// # Errors
    /// [`Full`], for a droppable message only: too many wait.
    pub(in super::super) fn push(
        self: &Arc<Self>,
        turn: Turn,
        size: usize,
        priority: Priority,
    ) -> Result<(), Full> {
        {
            let mut queue = self.queue();
            if !self.is_idle() {
                if priority == Priority::Droppable && self.is_over(&queue, size) {
                    return Err(Full);
                }
                queue.bytes += size;
                queue.turns.push_back((size, turn));
                return Ok(());
            }
            self.is_busy.store(true, Ordering::Release);
        }
        let _successor = Successor(self);
        if let Some(turn) = begin(turn).or_else(|| self.next()) {
            self.finish_in_task(turn);
        }
        Ok(())
    }

    /// Returns whether the server should be made to wait.
    pub(in super::super) fn is_congested(&self) -> bool {
        let queue = self.queue();
        queue.turns.len() > self.limits.events_max / 2 || queue.bytes > self.limits.bytes_max / 2
    }

    /// Waits until it is not congested any more.
    pub(in super::super) async fn relieved(&self) {
        loop {
            let room = self.room.notified();
            if !self.is_congested() {
                return;
            }
            room.await;
        }
    }

    fn finish_in_task(self: &Arc<Self>, turn: Turn) {
        let lane = self.clone();
        self.tasks.spawn(async move { lane.finish(turn).await });
    }

    async fn finish(self: &Arc<Self>, first: Turn) {
        let _successor = Successor(self);
        first.await;
        while let Some(turn) = self.next() {
            turn.await;
        }
    }

    /// Takes out the next message; without one the lane is idle.
    fn next(&self) -> Option<Turn> {
        let mut queue = self.queue();
        match queue.turns.pop_front() {
            Some((size, turn)) => {
                queue.bytes -= size;
                drop(queue);
                self.room.notify_one();
                Some(turn)
            }
            None => {
                self.is_busy.store(false, Ordering::Release);
                None
            }
        }
    }

    fn is_over(&self, queue: &Queue, size: usize) -> bool {
        queue.turns.len() >= self.limits.events_max || queue.bytes + size > self.limits.bytes_max
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no holder panics")
    }
}

/// Sees to it that a message that is lost in a panic does not hold up those behind it.
struct Successor<'a>(&'a Arc<Lane>);

impl Drop for Successor<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(turn) = self.0.next()
        {
            self.0.finish_in_task(turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    const LIMITS: OutboxLimits = OutboxLimits {
        events_max: 4,
        bytes_max: 100,
    };

    struct World {
        lane: Arc<Lane>,
        gate: Arc<Semaphore>,
        told: mpsc::UnboundedSender<u32>,
        heard: mpsc::UnboundedReceiver<u32>,
    }

    impl World {
        fn new() -> Self {
            let (told, heard) = mpsc::unbounded_channel();
            Self {
                lane: Lane::new(TaskTracker::new(), LIMITS),
                gate: Arc::new(Semaphore::new(0)),
                told,
                heard,
            }
        }

        fn push(&self, number: u32, size: usize, waits: bool, priority: Priority) -> Result<(), Full> {
            let (gate, told) = (self.gate.clone(), self.told.clone());
            let turn = Box::pin(async move {
                if waits {
                    gate.acquire().await.expect("it is never closed").forget();
                }
                told.send(number).expect("somebody listens");
            });
            self.lane.push(turn, size, priority)
        }
    }

    #[tokio::test]
    async fn what_is_over_at_once_waits_for_no_task() {
        let mut world = World::new();
        world.push(1, 1, false, Priority::Droppable).expect("room");
        assert_eq!(world.heard.try_recv(), Ok(1));
        assert!(world.lane.is_idle());
        assert_eq!(world.lane.tasks.len(), 0);
    }

    #[tokio::test]
    async fn nothing_overtakes_what_waits() {
        let mut world = World::new();
        for number in 1..=4 {
            let waits = number % 2 == 1;
            world.push(number, 1, waits, Priority::Droppable).expect("room");
        }
        assert!(world.heard.try_recv().is_err(), "all wait for the first");
        world.gate.add_permits(2);
        for number in 1..=4 {
            assert_eq!(world.heard.recv().await, Some(number));
        }
        world.lane.tasks.close();
        world.lane.tasks.wait().await;
        assert!(world.lane.is_idle());
    }

    #[tokio::test]
    async fn a_message_that_is_lost_in_a_panic_holds_up_nobody() {
        let mut world = World::new();
        let lost = || std::future::poll_fn(|_| -> Poll<()> { panic!("this is what the test is about") });
        let push = std::panic::AssertUnwindSafe(|| world.lane.push(Box::pin(lost()), 1, Priority::Required));
        std::panic::catch_unwind(push).expect_err("it panics at once");
        assert!(world.lane.is_idle());
        world.push(1, 1, true, Priority::Required).expect("room");
        world
            .lane
            .push(Box::pin(lost()), 1, Priority::Required)
            .expect("room");
        world.push(2, 1, false, Priority::Required).expect("room");
        world.gate.add_permits(1);
        assert_eq!(world.heard.recv().await, Some(1));
        assert_eq!(world.heard.recv().await, Some(2));
        world.lane.tasks.close();
        world.lane.tasks.wait().await;
        assert!(world.lane.is_idle());
    }

    #[tokio::test]
    async fn what_finds_it_full_is_refused_unless_it_is_an_answer() {
        let mut world = World::new();
        world
            .push(1, 90, true, Priority::Droppable)
            .expect("it is judged, it does not wait");
        world.push(2, 90, false, Priority::Droppable).expect("room");
        assert_eq!(
            world.push(3, 20, false, Priority::Droppable),
            Err(Full),
            "bytes-max"
        );
        for number in 4..=6 {
            world.push(number, 1, false, Priority::Droppable).expect("room");
        }
        assert!(world.lane.is_congested());
        assert_eq!(
            world.push(7, 1, false, Priority::Droppable),
            Err(Full),
            "events-max"
        );
        world
            .push(8, 1000, false, Priority::Required)
            .expect("answers always fit");
        world.gate.add_permits(1);
        world.lane.relieved().await;
        for number in [1, 2, 4, 5, 6, 8] {
            assert_eq!(world.heard.recv().await, Some(number));
        }
    }
}
