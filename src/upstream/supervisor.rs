//! The task that owns one instance of a server: starts its process, shakes hands, watches, restarts, stops.
//!
//! The loop selects, a named method handles; no handler waits for a pipe, a process or another task. Everything that
//! takes time (launching, the handshake, the steps of a stop) comes back as an event.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;
use tracing::{Instrument, Span, error, info, warn};

use super::backoff::{AfterFailure, chance};
use super::connection::{Connection, ConnectionLimits};
use super::error::UpstreamError;
use super::generation::{Generation, GenerationEvent, GenerationOptions, Stage};
use super::handle::UpstreamOptions;
use super::ladder::{Ladder, Step};
use super::launch::{LaunchError, Launched};
use super::state::{Phase, StateChange, UpstreamState};

/// What a supervisor is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Be there: somebody has a request, or the server starts with the gateway.
    Start(Arc<str>),
    /// An operator wants it to run, whatever happened before.
    Revive(Arc<str>),
    /// End the process; a later request starts it again.
    Stop(Arc<str>),
    /// End the process and start another one.
    Restart(Arc<str>),
    /// Skip the graces of a stop that is under way.
    Hurry,
    /// End the process and this task.
    Close(Arc<str>),
}

/// What happens once the process has ended.
#[derive(Debug, Clone)]
enum Then {
    /// It was not meant to end.
    Recover(Arc<str>),
    Stay(Arc<str>),
    Start(Arc<str>),
    Close(Arc<str>),
}

/// How long output is still read after the process has ended, in case something else holds the pipe.
const READ_AFTER_EXIT: Duration = Duration::from_secs(1);
/// How often requests are checked for their deadlines while there are any.
const SWEEP: Duration = Duration::from_millis(100);
/// How often an instance that waits is looked after.
const REST: Duration = Duration::from_secs(1);

type Launching = Pin<Box<dyn Future<Output = Result<(Launched, OwnedSemaphorePermit), LaunchError>> + Send>>;

pub(super) struct Supervisor {
    options: UpstreamOptions,
    commands: mpsc::Receiver<Command>,
    published: watch::Sender<UpstreamState>,
    state: UpstreamState,
    launching: Option<Launching>,
    current: Option<Generation>,
    then: Option<Then>,
    retry_due: Option<Instant>,
    ping_due: Option<Instant>,
    pinging: Option<Pin<Box<dyn Future<Output = Result<(), String>> + Send>>>,
    span: Span,
}

enum Event {
    Command(Command),
    Launched(Result<(Launched, OwnedSemaphorePermit), LaunchError>),
    Generation(GenerationEvent),
    Pinged(Result<(), String>),
    Tick,
}

impl Supervisor {
    pub(super) fn new(
        options: UpstreamOptions,
        commands: mpsc::Receiver<Command>,
        published: watch::Sender<UpstreamState>,
    ) -> Self {
        let span = tracing::info_span!("upstream", server = %options.spec.name, instance = options.instance);
        Self {
            options,
            commands,
            published,
            state: UpstreamState::stopped(),
            launching: None,
            current: None,
            then: None,
            retry_due: None,
            ping_due: None,
            pinging: None,
            span,
        }
    }

    /// Runs until closed, or until every handle is gone.
    pub(super) async fn run(mut self) {
        let span = self.span.clone();
        async {
            while self.state.phase != Phase::Closed {
                let event = self.next_event().await;
                self.handle(event);
            }
        }
        .instrument(span)
        .await;
    }

    async fn next_event(&mut self) -> Event {
        let due = self.next_due();
        tokio::select! {
            biased; // orders first, then what has happened, then the clock
            command = self.commands.recv() => {
                Event::Command(command.unwrap_or_else(|| Command::Close("nobody uses it any more".into())))
            }
            result = wait_for(&mut self.launching) => Event::Launched(result),
            event = next_of(&mut self.current) => Event::Generation(event),
            result = wait_for(&mut self.pinging) => Event::Pinged(result),
            () = tokio::time::sleep_until(due) => Event::Tick,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Command(command) => self.obey(command),
            Event::Launched(result) => {
                self.launching = None;
                self.launched(result);
            }
            Event::Generation(GenerationEvent::Exited(end)) => {
                let generation = self.current.as_mut().expect("the event came from it");
                // No more requests for this one; those in flight may still find their answers in the pipe.
                let reason: Arc<str> = end.to_string().into();
                generation.connection.refuse_new(UpstreamError::Ended(reason));
                generation.end = Some(end);
                generation.stage = Stage::Exited {
                    read_until: Instant::now() + READ_AFTER_EXIT,
                };
                self.finish_if_over();
            }
            Event::Generation(GenerationEvent::OutputEnded) => self.output_ended(),
            Event::Generation(GenerationEvent::InputEnded(Ok(()))) => {}
            Event::Generation(GenerationEvent::InputEnded(Err(error))) => {
                self.stop(Then::Recover(format!("its input broke: {error}").into()));
            }
            Event::Generation(GenerationEvent::Handshake(result)) => self.handshaken(result),
            Event::Pinged(result) => {
                self.pinging = None;
                if let Err(error) = result {
                    self.stop(Then::Recover(format!("it did not answer a ping: {error}").into()));
                }
            }
            Event::Tick => self.tick(),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start(cause) => self.start_for_request(cause),
            Command::Revive(cause) => {
                self.options.budget.lock().expect("no holder panics").reset();
                self.ensure_started(cause);
            }
            Command::Stop(cause) => self.end(Then::Stay(cause)),
            Command::Restart(cause) => {
                self.options.budget.lock().expect("no holder panics").reset();
                self.end(Then::Start(cause));
            }
            Command::Hurry => self.hurry(),
            Command::Close(cause) => self.end(Then::Close(cause)),
        }
    }

    /// A request starts a stopped instance at once, and a failed one after its cool-down; during back-off it waits.
    fn start_for_request(&mut self, cause: Arc<str>) {
        let cooled_down = self.state.retry_at.is_none_or(|at| at <= Instant::now());
        match self.state.phase {
            Phase::Stopped => self.launch(cause),
            Phase::Failed if cooled_down => self.launch(cause),
            Phase::Draining => {
                if let Some(Then::Stay(_)) = self.then {
                    self.then = Some(Then::Start(cause));
                }
            }
            _ => {}
        }
    }

    fn ensure_started(&mut self, cause: Arc<str>) {
        match self.state.phase {
            Phase::Stopped | Phase::Failed | Phase::Backoff => self.launch(cause),
            Phase::Draining => self.then = Some(Then::Start(cause)),
            Phase::Starting | Phase::Ready | Phase::Closed => {}
        }
    }

    /// Ends what there is and goes on with `then`.
    fn end(&mut self, then: Then) {
        self.retry_due = None;
        if self.current.is_some() {
            self.stop(then);
        } else {
            // Dropping a launch that is under way ends its process through the guard.
            self.launching = None;
            self.go_on(then);
        }
    }

    fn launch(&mut self, cause: Arc<str>) {
        self.retry_due = None;
        self.state.generation += 1;
        self.state.retry_at = None;
        let launch = self.options.launch.clone();
        let spec = self.options.launch_spec.clone();
        let starting = self.options.starting.clone();
        self.launching = Some(Box::pin(async move {
            let permit = starting
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            Ok((launch.launch(&spec).await?, permit))
        }));
        self.publish(Phase::Starting, cause);
    }

    fn launched(&mut self, result: Result<(Launched, OwnedSemaphorePermit), LaunchError>) {
        let (launched, permit) = match result {
            Ok(launched) => launched,
            Err(error) => {
                // The program may come from a variable, and this text is shown.
                let error = self.options.spec.redacted(&error.to_string());
                return self.give_up(format!("it could not be started: {error}").into());
            }
        };
        let spec = &self.options.spec;
        let limits = ConnectionLimits {
            in_flight_max: spec.in_flight_max,
            queue_max: spec.queue_max,
            queue_bytes_max: spec.queue_bytes_max,
        };
        let inbound = self.options.inbound.clone();
        let counts = self.options.counts.clone();
        let connection = Connection::new(spec.name.clone(), self.state.generation, limits, inbound, counts);
        let options = GenerationOptions {
            connection,
            spec: spec.clone(),
            facts: self.options.facts.clone(),
            tail: self.options.tail.clone(),
            permit,
        };
        let span = tracing::info_span!(
            "generation",
            generation = self.state.generation,
            pid = launched.process.pid()
        );
        let generation = Generation::start(launched, options, &span);
        self.state.pid = Some(generation.pid());
        self.current = Some(generation);
        self.then = None;
        self.published.send_replace(self.state.clone());
    }

    fn handshaken(&mut self, result: Result<(), String>) {
        let generation = self.current.as_mut().expect("the event came from it");
        generation.permit = None;
        if !matches!(generation.stage, Stage::Handshaking) {
            return; // it is being stopped, or has ended: that tells more than the failed handshake
        }
        match result {
            Err(error) => self.stop(Then::Recover(error.into())),
            Ok(()) => {
                generation.stage = Stage::Running {
                    since: Instant::now(),
                };
                let connection = generation.connection.clone();
                self.state.connection = Some(connection);
                self.state.ready_since = Some(SystemTime::now());
                self.ping_due = self
                    .options
                    .spec
                    .ping_interval
                    .map(|interval| Instant::now() + interval);
                self.publish(Phase::Ready, "handshake".into());
            }
        }
    }

    fn output_ended(&mut self) {
        let generation = self.current.as_mut().expect("the event came from it");
        generation.output_ended = true;
        match generation.stage {
            Stage::Exited { .. } => self.finish_if_over(),
            Stage::Stopping(_) => {}
            // The exit is usually right behind; the ladder only matters for one that closed stdout and lives on.
            Stage::Handshaking | Stage::Running { .. } => {
                self.stop(Then::Recover("it closed its output".into()));
            }
        }
    }

    /// Begins to end the current generation, or changes what happens afterwards if that is under way.
    fn stop(&mut self, then: Then) {
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        let stronger = !matches!((&self.then, &then), (Some(_), Then::Recover(_)));
        if matches!(generation.stage, Stage::Stopping(_) | Stage::Exited { .. }) {
            // Only an order changes what comes after; a second symptom of the same end does not.
            if stronger && !matches!(self.then, Some(Then::Close(_))) {
                self.then = Some(then);
            }
            return;
        }
        let (reason, cause) = match &then {
            Then::Recover(why) => (None, why.clone()),
            Then::Stay(why) | Then::Start(why) | Then::Close(why) => {
                (Some(UpstreamError::Stopped(why.clone())), why.clone())
            }
        };
        // After a failure the exit status, which comes later, is the better explanation for those who wait.
        match &reason {
            Some(reason) => generation.connection.close(reason),
            None => generation
                .connection
                .refuse_new(UpstreamError::Ended(cause.clone())),
        }
        generation.connection.outbound.close();
        generation.permit = None;
        generation.stage = Stage::Stopping(Ladder::new(Instant::now(), self.options.spec.stop_grace));
        self.then = Some(then);
        self.publish(Phase::Draining, cause);
    }

    fn hurry(&mut self) {
        if let Some(Stage::Stopping(ladder)) = self.current.as_mut().map(|generation| &mut generation.stage) {
            ladder.hurry(Instant::now());
        }
    }

    /// Ends the generation once its process has ended and its output has been read, or nothing more will come.
    fn finish_if_over(&mut self) {
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        let Stage::Exited { read_until } = generation.stage else {
            return;
        };
        if !generation.output_ended && Instant::now() < read_until {
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
        drop(generation);
        let then = self.then.take();
        self.go_on(then.unwrap_or(Then::Recover(text)));
    }

    fn go_on(&mut self, then: Then) {
        self.state.pid = None;
        self.ping_due = None;
        self.pinging = None;
        match then {
            Then::Stay(cause) => self.publish(Phase::Stopped, cause),
            Then::Close(cause) => self.publish(Phase::Closed, cause),
            Then::Start(cause) => self.launch(cause),
            Then::Recover(why) => self.recover(why),
        }
    }

    /// After a failure: start again if somebody needs it, within what the budget allows.
    fn recover(&mut self, why: Arc<str>) {
        let exit = self.state.last_exit.clone().filter(|exit| *exit != why);
        let error: Arc<str> = exit.map_or(why.clone(), |exit| format!("{why}; {exit}").into());
        self.state.last_error = Some(error.clone());
        self.state.client_reason = Some(error.clone());
        let decision = self
            .options
            .budget
            .lock()
            .expect("no holder panics")
            .failed(Instant::now(), chance());
        self.log_last_words(&error);
        match decision {
            AfterFailure::GiveUp { until } => {
                self.state.retry_at = Some(until);
                self.publish(Phase::Failed, error);
            }
            AfterFailure::Retry { attempt, delay } if self.is_needed() => {
                warn!(attempt, ?delay, "restart scheduled");
                self.retry_due = Some(Instant::now() + delay);
                self.publish(Phase::Backoff, error);
            }
            AfterFailure::Retry { .. } => self.publish(Phase::Stopped, error),
        }
    }

    /// A failure that the next attempt would only repeat, such as a command that does not exist.
    fn give_up(&mut self, error: Arc<str>) {
        self.state.last_error = Some(error.clone());
        self.state.client_reason = Some("it could not be started; the log of the gateway says why".into());
        self.state.pid = None;
        self.state.retry_at = Some(Instant::now() + self.options.spec.restart.cool_down);
        self.log_last_words(&error);
        self.publish(Phase::Failed, error);
    }

    fn is_needed(&self) -> bool {
        self.options.spec.autostart
            || self.options.usage.leases() > 0
            || self.options.usage.waiting() > 0
            || self.options.inbound.keeps_process()
    }

    fn log_last_words(&self, error: &str) {
        let lines = self.options.tail.lines();
        let last: Vec<&str> = lines.iter().rev().take(5).rev().map(String::as_str).collect();
        error!(error, stderr = last.join(" | "), "the server failed");
    }

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        let mut due = self.retry_due.unwrap_or(now + REST);
        if let Some(generation) = &self.current {
            if generation.connection.in_flight() > 0 {
                due = due.min(now + SWEEP);
            }
            match &generation.stage {
                Stage::Stopping(ladder) => due = due.min(ladder.due()),
                Stage::Exited { read_until } => due = due.min(*read_until),
                Stage::Handshaking | Stage::Running { .. } => {}
            }
        }
        due
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.retry_due.is_some_and(|due| due <= now) {
            self.state.restarts += 1;
            self.launch("back-off is over".into());
        }
        let Some(generation) = self.current.as_mut() else {
            return;
        };
        generation.connection.sweep();
        match &mut generation.stage {
            Stage::Handshaking => {}
            Stage::Stopping(ladder) => {
                let step = ladder.step(now);
                self.take_step(step);
            }
            Stage::Exited { .. } => self.finish_if_over(),
            Stage::Running { since } => {
                let since = *since;
                self.look_after(since, now);
            }
        }
    }

    fn take_step(&mut self, step: Option<Step>) {
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
                let text: Arc<str> = format!("process {pid} did not end").into();
                generation.connection.close(&UpstreamError::Ended(text.clone()));
                self.state.last_exit = Some(text.clone());
                self.current = None;
                let then = self.then.take();
                self.go_on(then.unwrap_or(Then::Recover(text)));
            }
        }
    }

    /// The rounds of a healthy instance: forgive, stop if idle, ping.
    fn look_after(&mut self, since: Instant, now: Instant) {
        let spec = &self.options.spec;
        if now.duration_since(since) >= spec.restart.stable_after {
            self.options.budget.lock().expect("no holder panics").reset();
            self.state.last_error = None;
            self.state.client_reason = None;
        }
        if self.is_idle(now) {
            let connection = self
                .state
                .connection
                .clone()
                .expect("a running instance has a connection");
            if connection.close_if_idle(UpstreamError::Stopped("idle".into())) {
                return self.stop(Then::Stay("idle".into()));
            }
        }
        if self.ping_due.is_some_and(|due| due <= now) {
            let spec = &self.options.spec;
            self.ping_due = spec.ping_interval.map(|interval| now + interval);
            let timeout = spec.ping_timeout;
            let connection = self
                .state
                .connection
                .clone()
                .expect("a running instance has a connection");
            self.pinging = Some(Box::pin(async move {
                connection
                    .call("ping", None, timeout)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }));
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        let Some(connection) = &self.state.connection else {
            return false;
        };
        let Some(idle_timeout) = self.options.spec.idle_timeout else {
            return false;
        };
        if connection.in_flight() > 0 || self.options.inbound.keeps_process() {
            return false;
        }
        let quiet = now.saturating_duration_since(connection.last_used());
        let usage = &self.options.usage;
        let alone = usage.leases() == 0
            && now.saturating_duration_since(usage.last_release()) >= self.options.spec.linger;
        quiet >= idle_timeout || (alone && quiet >= self.options.spec.linger)
    }

    /// Tells everyone: the one place where the state changes hands, and the one log line of each change.
    fn publish(&mut self, phase: Phase, cause: Arc<str>) {
        let from = self.state.phase;
        self.state.phase = phase;
        if phase != Phase::Ready {
            self.state.connection = None;
            self.state.ready_since = None;
        }
        info!(from = %from, to = %phase, cause = %cause, generation = self.state.generation, "phase changed");
        self.published.send_replace(self.state.clone());
        let change = StateChange {
            server: self.options.spec.name.clone(),
            instance: self.options.instance,
            from,
            state: self.state.clone(),
            cause,
        };
        (self.options.observer)(&change);
    }
}

async fn wait_for<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn next_of(current: &mut Option<Generation>) -> GenerationEvent {
    match current {
        Some(generation) => generation.next_event().await,
        None => std::future::pending().await,
    }
}
