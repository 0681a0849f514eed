//! The thread that makes time pass for guests: it moves the engine's epoch while any of them runs, and sleeps otherwise.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// How often the epoch moves: the precision of a call's time limit.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// So many ticks without a guest, and the thread sleeps. Waking it costs a system call, which a busy gateway should not
/// pay on each request.
const LINGER: u32 = 50;

/// Ticks while somebody holds a [`Running`].
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    running: AtomicUsize,
    is_asleep: AtomicBool,
    is_over: AtomicBool,
}

/// A guest runs, until this is dropped.
pub(super) struct Running<'a>(&'a Shared);

impl Ticker {
    pub(super) fn start(engine: Engine) -> Arc<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            is_asleep: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let its = shared.clone();
        let handle = std::thread::Builder::new()
            .name("plugin-ticker".to_owned())
            .spawn(move || its.tick(&engine))
            .expect("a thread can be started when the gateway starts");
        Arc::new(Self {
            shared,
            thread: handle.thread().clone(),
            handle: Mutex::new(Some(handle)),
        })
    }

    /// Says that a guest runs.
    pub(super) fn run(&self) -> Running<'_> {
        // Sequentially consistent with the thread's own order, asleep before running: one of the two sees the other.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.is_asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(&self.shared)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.lock().expect("no holder panics").take() {
            // It does nothing that could panic.
            let _ = handle.join();
        }
    }
}

impl Shared {
    fn tick(&self, engine: &Engine) {
        let mut idle = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            if idle < LINGER {
                std::thread::sleep(TICK);
                engine.increment_epoch();
                idle = if self.running.load(Ordering::Relaxed) == 0 {
                    idle + 1
                } else {
                    0
                };
                continue;
            }
            self.is_asleep.store(true, Ordering::SeqCst);
            if self.running.load(Ordering::SeqCst) == 0 {
                std::thread::park();
            }
            self.is_asleep.store(false, Ordering::SeqCst);
            idle = 0;
        }
    }
}
