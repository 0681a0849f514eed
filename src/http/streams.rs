//! The streams of an HTTP/2 connection: each is a task, and a connection without any is closed after a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::rt::Executor;
use tokio_util::task::TaskTracker;

use super::pace::serve_paced;

/// What runs the streams of one connection.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    tasks: TaskTracker,
    begun: Arc<AtomicU64>,
    /// How long an answer may wait for its client to take it.
    patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.tasks.spawn(serve_paced(stream, self.patience));
    }
}

impl Streams {
    /// Returns what runs the streams of a connection, whose client has so much time to take its answers.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            tasks: TaskTracker::new(),
            begun: Arc::default(),
            patience,
        }
    }

    /// Waits until there has been no stream for this long, or for twice as long.
    pub(super) async fn idle(&self, limit: Duration) {
        let mut before = None;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            let now = self.tasks.is_empty().then_some(begun);
            if now.is_some() && now == before {
                return;
            }
            before = now;
            tokio::time::sleep(limit).await;
        }
    }

    /// Waits until every stream has ended. Their connection has.
    pub(super) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_has_gone_on_for_so_long() {
        let limit = Duration::from_secs(10);
        let streams = Streams::new(limit);
        let start = Instant::now();
        streams.idle(limit).await;
        assert_eq!(start.elapsed(), limit, "nothing ever went on");

        let end = Arc::new(Notify::new());
        let ended = end.clone();
        streams.execute(async move { ended.notified().await });
        assert!(
            tokio::time::timeout(limit * 100, streams.idle(limit))
                .await
                .is_err()
        );
        end.notify_one();
        let start = Instant::now();
        streams.idle(limit).await;
        assert!(start.elapsed() <= limit * 2);
        streams.ended().await;
    }
}
