//! The instances of one generation: kept warm, handed out one call at a time, thrown away when in doubt.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{ErrorKind, Stopped};
use super::instance::{Instance, Template};
use crate::config::Isolation;

/// Instances for one call each, beyond `instances-max`, as a multiple of it: when all others are busy (waiting for an
/// HTTP answer, mostly) a call should not wait for one of them.
const ONE_SHOTS: usize = 3;
/// An instance that was not used for this long goes, unless it is the only one.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// In boxes: they are large, and move at each call.
type Idle = Vec<Box<Instance>>;

/// The instances of one generation.
pub(super) struct Pool {
    template: Arc<Template>,
    isolation: Isolation,
    /// The one used last is on top: it is warm. A std mutex: held to push and pop.
    idle: Mutex<Idle>,
    permits_max: usize,
    permits: Semaphore,
    made: AtomicU64,
    /// The largest linear memory that an instance came back with, in bytes.
    memory: AtomicUsize,
}

/// An instance for one call. Dropped without [`Checkout::give_back`] it is gone, as it must be after a trap and after a
/// call that nobody waited for to the end.
pub(super) struct Checkout<'a> {
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
    instance: Box<Instance>,
}

impl Pool {
    pub(super) fn new(template: Template, isolation: Isolation) -> Self {
        let permits_max = template.shared.limits.instances_max * (1 + ONE_SHOTS);
        Self {
            template: Arc::new(template),
            isolation,
            idle: Mutex::default(),
            permits_max,
            permits: Semaphore::new(permits_max),
            made: AtomicU64::new(0),
            memory: AtomicUsize::new(0),
        }
    }

    pub(super) fn template(&self) -> &Template {
        &self.template
    }

    /// Returns an instance, warm if there is one.
    pub(super) async fn checkout(&self, deadline: Instant) -> Result<Checkout<'_>, Stopped> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                let wait = tokio::time::timeout_at(deadline.into(), self.permits.acquire());
                let busy = || Stopped::new(ErrorKind::Overload, "all its instances are busy (instances-max)");
                wait.await.map_err(|_| busy())?.map_err(|_| busy())?
            }
        };
        let warm = self.idle().pop();
        let instance = match warm {
            Some(instance) => instance,
            None => self.instantiate().await?,
        };
        Ok(Checkout {
            pool: self,
            _permit: permit,
            instance,
        })
    }

    /// Puts in the first instance, so that the first call does not wait for one.
    pub(super) fn put(&self, instance: Box<Instance>) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.keep(instance, Instant::now());
    }

    /// Lets instances go that were not used for long.
    pub(super) fn shrink(&self, now: Instant) {
        let mut idle = self.idle();
        // The oldest are at the bottom.
        let fresh = idle
            .iter()
            .position(|instance| now.duration_since(instance.used) < IDLE_MAX);
        let old = fresh.unwrap_or(idle.len()).min(idle.len().saturating_sub(1));
        let gone: Vec<_> = idle.drain(..old).collect();
        drop(idle);
        drop(gone);
    }

    /// Lets all waiting instances go.
    pub(super) fn clear(&self) {
        let gone = std::mem::take(&mut *self.idle());
        drop(gone);
    }

    /// Returns how many instances wait for a call.
    pub(super) fn idle_count(&self) -> usize {
        self.idle().len()
    }

    /// Returns how many instances serve a call, or are made for one.
    pub(super) fn busy_count(&self) -> usize {
        self.permits_max - self.permits.available_permits()
    }

    /// Returns how many instances were ever made.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Returns how much fuel the instance on top has used, where the engine counts.
    pub(super) fn fuel(&self) -> Option<u64> {
        self.idle().last()?.fuel()
    }

    /// Returns the largest linear memory seen, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    async fn instantiate(&self) -> Result<Box<Instance>, Stopped> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.template.instantiate().await
    }

    fn keep(&self, mut instance: Box<Instance>, used: Instant) {
        self.memory.fetch_max(instance.memory(), Ordering::Relaxed);
        if self.isolation == Isolation::Fresh || !instance.is_fresh_enough() {
            return;
        }
        instance.used = used;
        let mut idle = self.idle();
        if idle.len() < self.template.shared.limits.instances_max {
            idle.push(instance);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().expect("no holder panics")
    }
}

impl Checkout<'_> {
    pub(super) fn instance(&mut self) -> &mut Instance {
        &mut self.instance
    }

    /// Puts the instance back after a call that went well, and says when that began.
    pub(super) fn give_back(self, used: Instant) {
        let Self { pool, instance, .. } = self;
        pool.keep(instance, used);
    }
}
