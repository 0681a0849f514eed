//! How a supervisor ends what it started, and what it does then.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Supervisor, Then};
use crate::upstream::error::UpstreamError;
use crate::upstream::generation::{READ_AFTER_EXIT, Stage};
use crate::upstream::ladder::{Ladder, Step};
use crate::upstream::launch::ProcessEnd;
use crate::upstream::state::Phase;

impl Supervisor {
    /// Ends what there is and goes on with `then`.
    pub(super) fn end(&mut self, then: Then) {
        self.retry_due = None;
        if self.current.is_some() {
            return self.stop(then);
        }
        let has_begun = |begun: &super::Launching| begun.begun.load(Ordering::Relaxed);
        if self.launching.as_ref().is_some_and(has_begun) && !self.hurried {
            // There may be a process already. It is waited for and then ended, so that the next one does not meet it.
            return self.await_launch(then);
        }
        // Dropping a launch that is under way ends its process through the guard.
        self.launching = None;
        self.then = None;
        self.go_on(then);
    }

    fn await_launch(&mut self, then: Then) {
        let cause = then.cause();
        self.change_then(then);
        self.drain(cause);
    }

    /// Only an order changes what comes after a stop that is under way, and nothing changes that it closes.
    pub(super) fn change_then(&mut self, then: Then) {
        let is_symptom = matches!((&self.then, &then), (Some(_), Then::Recover(_)));
        if !is_symptom && !matches!(self.then, Some(Then::Close(_))) {
            self.then = Some(then);
        }
    }

    fn drain(&mut self, cause: Arc<str>) {
        if self.state.phase == Phase::Draining {
            self.published.send_replace(self.state.clone());
        } else {
            self.publish(Phase::Draining, cause);
        }
    }

    /// Begins to end the current generation, or changes what happens afterwards if that is under way.
    pub(super) fn stop(&mut self, then: Then) {
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        let is_order = !matches!(then, Then::Recover(_));
        let cause = then.cause();
        if is_order {
            generation
                .connection
                .close(&UpstreamError::Stopped(cause.clone()));
        }
        if matches!(generation.stage, Stage::Stopping(_) | Stage::Exited { .. }) {
            self.change_then(then);
            // Who waits must hear of an order also while the process is on its way out.
            self.published.send_replace(self.state.clone());
            return;
        }
        // After a failure the exit status, which comes later, is the better explanation for those who wait.
        generation
            .connection
            .refuse_new(UpstreamError::Ended(cause.clone()));
        generation.connection.outbound.close();
        generation.permit = None;
        let now = Instant::now();
        let mut ladder = Ladder::new(now, self.options.spec.stop_grace);
        if self.hurried {
            ladder.hurry(now);
        }
        generation.stage = Stage::Stopping(ladder);
        self.then = Some(then);
        self.drain(cause);
    }

    /// From now on no stop gets a grace, neither the one under way nor a later one.
    pub(super) fn hurry(&mut self) {
        self.hurried = true;
        match self.current.as_mut().map(|generation| &mut generation.stage) {
            Some(Stage::Stopping(ladder)) => ladder.hurry(Instant::now()),
            Some(_) => {}
            None => {
                if self.launching.is_some()
                    && let Some(then) = self.then.take()
                {
                    self.launching = None;
                    self.go_on(then);
                }
            }
        }
    }

    pub(super) fn exited(&mut self, end: ProcessEnd) {
        let generation = self.current.as_mut().expect("the event came from it");
        // No more requests for this one; those in flight may still find their answers in the pipe.
        let reason: Arc<str> = end.to_string().into();
        generation.connection.refuse_new(UpstreamError::Ended(reason));
        generation.connection.outbound.close();
        generation.end = Some(end);
        generation.stage = Stage::Exited {
            read_until: Instant::now() + READ_AFTER_EXIT,
        };
        self.finish_if_over();
    }

    pub(super) fn output_ended(&mut self) {
        let generation = self.current.as_mut().expect("the event came from it");
        generation.output_ended.get_or_insert_with(Instant::now);
        match generation.stage {
            Stage::Exited { .. } => self.finish_if_over(),
            Stage::Stopping(_) => {}
            // The exit is usually right behind; the ladder only matters for one that closed stdout and lives on.
            Stage::Handshaking | Stage::Running { .. } => {
                self.stop(Then::Recover("it closed its output".into()));
            }
        }
    }

    /// Its last words have been read, which a failure is explained with.
    pub(super) fn errors_ended(&mut self) {
        let generation = self.current.as_mut().expect("the event came from it");
        generation.errors_ended = true;
        self.finish_if_over();
    }

    /// Ends the generation once its process has ended and its output has been read, or nothing more will come.
    pub(super) fn finish_if_over(&mut self) {
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        let Stage::Exited { read_until } = generation.stage else {
            return;
        };
        if !generation.is_read() && Instant::now() < read_until {
            return;
        }
        let generation = self.current.take().expect("it was there a moment ago");
        let end = generation
            .end
            .as_ref()
            .expect("an exited generation knows its end");
        let text: Arc<str> = end.to_string().into();
        if end.stragglers > 0 {
            warn!(
                stragglers = end.stragglers,
                "processes outlived the server and were ended"
            );
        }
        generation.connection.close(&UpstreamError::Ended(text.clone()));
        self.state.last_exit = Some(text.clone());
        let then = self.then.take().unwrap_or(Then::Recover(text));
        if let Then::Recover(_) = then
            && generation.connection.facts().is_none()
        {
            // Its handshake ends with it, and has no time to note anything.
            self.options.opening.ended(&generation.connection);
        }
        drop(generation);
        self.go_on(then);
    }

    /// Nothing of the process is left: tells who waits for that, and does what comes next.
    pub(super) fn go_on(&mut self, then: Then) {
        self.state.pid = None;
        self.ping_due = None;
        self.pinging = None;
        match then {
            Then::Stay(cause) if self.state.phase == Phase::Stopped => self.note_stop(&cause),
            Then::Stay(cause) => {
                self.state.retry_at = None;
                self.publish(Phase::Stopped, cause);
            }
            Then::Close(cause) => self.publish(Phase::Closed, cause),
            Then::Start(cause) => self.launch(cause),
            Then::Recover(why) => self.recover(why),
        }
        // Nobody may be waiting any more.
        for done in self.await_end.drain(..) {
            let _ = done.send(());
        }
    }

    /// A stop of what is stopped: those who wait must see it, but nothing has changed.
    fn note_stop(&self, cause: &str) {
        info!(cause, "it is stopped already");
        self.published.send_replace(self.state.clone());
    }

    pub(super) fn take_step(&mut self, step: Option<Step>) {
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        match step {
            None => {}
            Some(Step::Terminate) => {
                info!("still there after its input was closed: SIGTERM to its group");
                generation.terminate();
            }
            Some(Step::Kill) => {
                info!("still there after SIGTERM: SIGKILL to its group");
                generation.kill();
            }
            Some(Step::Abandon) => {
                error!(
                    pid = generation.pid(),
                    "the process does not end, even after SIGKILL"
                );
                let pid = generation.pid();
                let what = pid.map_or_else(|| "the connection".to_owned(), |pid| format!("process {pid}"));
                let text: Arc<str> = format!("{what} did not end").into();
                generation.connection.close(&UpstreamError::Ended(text.clone()));
                self.state.last_exit = Some(text.clone());
                self.current = None;
                let then = self.then.take();
                self.go_on(then.unwrap_or(Then::Recover(text)));
            }
        }
    }
}
