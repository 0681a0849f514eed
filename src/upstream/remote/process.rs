//! The handle of a connection to a remote server, in the shape of that of a process.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::error;

use super::strings::Outgoing;
use crate::upstream::launch::{ChildProcess, EndFuture, Exit, ProcessEnd};

/// Owns the task that translates.
pub(super) struct RemoteProcess {
    task: JoinHandle<(Exit, Outgoing)>,
    /// Keeps the output open until it is known how the connection ended, which tells more than that it did.
    output: Option<mpsc::Sender<Bytes>>,
    end: Option<ProcessEnd>,
}

impl RemoteProcess {
    pub(super) fn new(task: JoinHandle<(Exit, Outgoing)>, output: mpsc::Sender<Bytes>) -> Self {
        Self {
            task,
            output: Some(output),
            end: None,
        }
    }
}

impl ChildProcess for RemoteProcess {
    fn pid(&self) -> Option<u32> {
        None
    }

    /// There is nobody to ask: the task has been asked by the end of its input.
    fn terminate(&mut self) {
        self.task.abort();
    }

    fn kill(&mut self) {
        self.task.abort();
    }

    fn wait(&mut self) -> EndFuture<'_> {
        Box::pin(async move {
            if let Some(end) = self.end {
                return end;
            }
            let exit = match (&mut self.task).await {
                // The input stayed open until now: a broken pipe would tell less than the reason.
                Ok((exit, _input)) => exit,
                Err(failed) if failed.is_panic() => {
                    error!(error = %failed, "the translation of a remote server panicked");
                    Exit::Unknown
                }
                Err(_) => Exit::Closed,
            };
            let end = ProcessEnd {
                exit,
                stragglers: 0,
                survivors: 0,
            };
            self.output = None;
            self.end = Some(end);
            end
        })
    }
}

impl Drop for RemoteProcess {
    fn drop(&mut self) {
        self.task.abort();
    }
}
