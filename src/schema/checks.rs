//! Checks with an end. A small schema can cost an endless time (references that double at each step, patterns as large as
//! programs), and nothing can interrupt the library. What might is done on a thread of its own, few at once, and waited for
//! until a deadline. Whoever asks goes on then; the thread does when it is done.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;

use super::{Digest32, SchemaCache, Unusable, digest};

/// Threads at once.
const THREADS_MAX: usize = 4;
/// A schema whose check goes on for so long gets no second thread.
const LONG: Duration = Duration::from_secs(1);

/// What is under way.
#[derive(Debug)]
pub(super) struct Checks {
    threads: Arc<Semaphore>,
    /// The schema of each thread, and when it began. A std mutex: held for look-ups.
    running: Mutex<Vec<(Digest32, Instant)>>,
}

/// Why a check did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unchecked {
    /// The schema or the instance cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It takes longer than until the deadline.
    #[error("the check against a JSON Schema takes too long")]
    TooLong,
    /// Too many others do.
    #[error("too many checks against JSON Schemas take long")]
    Busy,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            threads: Arc::new(Semaphore::new(THREADS_MAX)),
            running: Mutex::default(),
        }
    }
}

impl Checks {
    fn running(&self) -> MutexGuard<'_, Vec<(Digest32, Instant)>> {
        self.running.lock().expect("no holder panics")
    }

    fn is_hopeless(&self, schema: &Digest32) -> bool {
        let is_long = |(its, start): &(Digest32, Instant)| its == schema && start.elapsed() > LONG;
        self.running().iter().any(is_long)
    }
}

/// A thread at work, until this is dropped.
struct Running<'a>(&'a Checks, (Digest32, Instant));

impl<'a> Running<'a> {
    fn begin(checks: &'a Checks, schema: Digest32) -> Self {
        let run = (schema, Instant::now());
        checks.running().push(run);
        Self(checks, run)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut running = self.0.running();
        if let Some(place) = running.iter().position(|run| *run == self.1) {
            running.swap_remove(place);
        }
    }
}

impl SchemaCache {
    /// Does the same as [`SchemaCache::problems`], and is back by a deadline.
    ///
    /// # Errors
    /// See [`Unchecked`].
    pub async fn problems_until(
        self: &Arc<Self>,
        schema: &str,
        instance: impl AsRef<str> + Send + 'static,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<String>, Unchecked> {
        let digest = digest(schema);
        if let Some(compiled) = self.known(&digest).flatten()
            && compiled.is_quick_for(instance.as_ref().len())
        {
            return Ok(compiled.problems(instance.as_ref(), max)?);
        }
        if self.checks.is_hopeless(&digest) {
            return Err(Unchecked::TooLong);
        }
        let deadline = deadline.into();
        let permit = timeout_at(deadline, self.checks.threads.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| Unchecked::Busy)?;
        let (tx, rx) = oneshot::channel();
        let (its, schema) = (self.clone(), schema.to_owned());
        let work = move || {
            let running = Running::begin(&its.checks, digest);
            let problems = its.problems(&schema, instance.as_ref(), max);
            drop((running, permit));
            // Whoever waited may have gone.
            let _ = tx.send(problems);
        };
        let thread = std::thread::Builder::new().name("schema".to_owned());
        thread.spawn(work).map_err(|_| Unchecked::Busy)?;
        let answer = timeout_at(deadline, rx).await.map_err(|_| Unchecked::TooLong)?;
        Ok(answer.map_err(|_| Unusable)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a schema that doubles its work so many times.
    fn doubling(times: usize) -> String {
        let step = |n: usize| {
            let next = n + 1;
            format!(r##""d{n}":{{"allOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}}"##)
        };
        let steps: Vec<_> = (0..times).map(step).collect();
        let steps = steps.join(",");
        format!(r##"{{"$defs":{{{steps},"d{times}":{{"type":"object"}}}},"$ref":"#/$defs/d0"}}"##)
    }

    async fn checked(
        cache: &Arc<SchemaCache>,
        schema: &str,
        wait: Duration,
    ) -> Result<Vec<String>, Unchecked> {
        let deadline = Instant::now() + wait;
        cache.problems_until(schema, "[]", 1, deadline).await
    }

    #[tokio::test]
    async fn what_takes_long_is_not_waited_for_and_does_not_keep_the_others() {
        let cache = Arc::new(SchemaCache::default());
        let long = Duration::from_secs(60);
        let problems = checked(&cache, &doubling(3), long).await.expect("a check");
        assert_eq!(problems.len(), 1, "{problems:?}");
        // 2^24 steps are some seconds, if none of them fails.
        let endless = doubling(24).replace(r#""object""#, r#""array""#);
        let start = Instant::now();
        let late = checked(&cache, &endless, Duration::from_millis(20)).await;
        assert_eq!(late, Err(Unchecked::TooLong));
        assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
        let problems = checked(&cache, r#"{"type":"object"}"#, long).await;
        assert_eq!(problems.expect("a check").len(), 1);
    }

    #[tokio::test]
    async fn as_many_as_may_take_long_and_no_more() {
        let cache = Arc::new(SchemaCache::default());
        let all = cache.checks.threads.clone();
        let all = all.acquire_many_owned(THREADS_MAX as u32).await.expect("open");
        let schema = doubling(3);
        assert_eq!(
            checked(&cache, &schema, Duration::ZERO).await,
            Err(Unchecked::Busy)
        );
        drop(all);
        checked(&cache, &schema, Duration::from_secs(60))
            .await
            .expect("a check");
        // One that has gone on for long is not begun again.
        let long_ago = Instant::now()
            .checked_sub(2 * LONG)
            .expect("the machine runs for longer");
        cache.checks.running().push((digest(&schema), long_ago));
        let again = checked(&cache, &schema, Duration::from_secs(60)).await;
        assert_eq!(again, Err(Unchecked::TooLong));
        checked(&cache, &doubling(4), Duration::from_secs(60))
            .await
            .expect("another one");
        assert_eq!(cache.checks.running().len(), 1);
    }

    #[tokio::test]
    async fn what_is_known_and_surely_quick_needs_no_thread() {
        let cache = Arc::new(SchemaCache::default());
        let quick = r#"{"type":"object","properties":{"path":{"type":"string"}}}"#;
        let long = Duration::from_secs(60);
        checked(&cache, quick, long).await.expect("compiled");
        let threads = cache.checks.threads.clone();
        let _none_left = threads
            .acquire_many_owned(THREADS_MAX as u32)
            .await
            .expect("open");
        assert_eq!(
            checked(&cache, quick, Duration::ZERO)
                .await
                .expect("a check")
                .len(),
            1
        );
        let pattern = r#"{"pattern":"(a{1000}){1000}"}"#;
        assert_eq!(
            checked(&cache, pattern, Duration::ZERO).await,
            Err(Unchecked::Busy)
        );
    }
}
