//! The task that owns one instance of a server: starts its process, shakes hands, watches, restarts, stops.
//!
//! The loop selects, a named method handles; no handler waits for a pipe, a process or another task. Everything that
//! takes time (launching, the handshake, the steps of a stop) comes back as an event. How it ends what it started
//! stands in `ending`, what it does as time passes in `rounds`.

mod ending;
mod rounds;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{Instrument, Span, error, info, warn};

use super::backoff::{AfterFailure, RestartBudget};
use super::connection::{Connection, ConnectionLimits, Origin};
use super::error::CallError;
use super::generation::{Generation, GenerationEvent, GenerationOptions, Stage};
use super::handle::UpstreamOptions;
use super::launch::{LaunchError, Launched};
use super::room::{Place, Taken};
use super::state::{Phase, StateChange, UpstreamState};

/// What a supervisor is told. Whoever gave an order with a `done` learns when it has been carried out.
#[derive(Debug)]
pub(super) enum Command {
    /// Be there: somebody has a request, or the server starts with the gateway.
    Start(Arc<str>),
    /// An operator wants it to run, whatever happened before. Done when the order was taken.
    Revive(Arc<str>, oneshot::Sender<()>),
    /// End the process; a later request starts it again. Done when the process has ended.
    Stop(Arc<str>, oneshot::Sender<()>),
    /// End the process and start another one. Done when the process has ended.
    Restart(Arc<str>, oneshot::Sender<()>),
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

impl Then {
    fn cause(&self) -> Arc<str> {
        match self {
            Self::Recover(cause) | Self::Stay(cause) | Self::Start(cause) | Self::Close(cause) => {
                cause.clone()
            }
        }
    }
}

/// How long a process may take to be started, its place in the queue of starts not counted.
const LAUNCH_MAX: Duration = Duration::from_secs(30);

type LaunchResult = Result<(Launched, OwnedSemaphorePermit), LaunchError>;
type Pinging = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

/// A launch under way.
struct Launching {
    result: Pin<Box<dyn Future<Output = LaunchResult> + Send>>,
    /// Whether it has got its place among the starts; before that there is nothing to end.
    begun: Arc<AtomicBool>,
}

pub(super) struct Supervisor {
    options: UpstreamOptions,
    commands: mpsc::Receiver<Command>,
    /// Whether somebody may still give orders.
    has_handles: bool,
    published: watch::Sender<UpstreamState>,
    state: UpstreamState,
    launching: Option<Launching>,
    current: Option<Generation>,
    then: Option<Then>,
    /// Who wants to know when the process has ended.
    await_end: Vec<oneshot::Sender<()>>,
    /// Whether stops get no grace any more.
    hurried: bool,
    retry_due: Option<Instant>,
    ping_due: Option<Instant>,
    pinging: Option<Pinging>,
    /// Whether this generation's uptime has been rewarded.
    forgiven: bool,
    /// When the last round was.
    last_round: Instant,
    span: Span,
}

enum Event {
    Command(Command),
    HandlesGone,
    Hurry,
    Launched(LaunchResult),
    Generation(GenerationEvent),
    Pinged(Result<(), CallError>),
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
            has_handles: true,
            published,
            state: UpstreamState::stopped(),
            launching: None,
            current: None,
            then: None,
            await_end: Vec::new(),
            hurried: false,
            retry_due: None,
            ping_due: None,
            pinging: None,
            forgiven: false,
            last_round: Instant::now(),
            span,
        }
    }

    /// Runs until closed, or until every handle is gone. Where it needs a place, it does nothing before it has that.
    pub(super) async fn run(mut self, place: Option<Place>) {
        let span = self.span.clone();
        async {
            let _taken = match place {
                Some(place) => self.take(place).await,
                None => None,
            };
            while self.state.phase != Phase::Closed {
                let event = self.next_event().await;
                self.handle(event);
            }
        }
        .instrument(span)
        .await;
    }

    /// Waits until whoever has its place leaves it, as long as somebody wants that.
    async fn take(&mut self, place: Place) -> Option<Taken> {
        let taken = tokio::select! {
            taken = place.reached() => taken,
            () = self.published.closed() => None,
        };
        if taken.is_none() {
            self.go_on(Then::Close("nobody uses it any more".into()));
        }
        taken
    }

    async fn next_event(&mut self) -> Event {
        let due = self.next_due();
        tokio::select! {
            biased; // orders first, then what has happened, then the clock
            () = self.options.hurry.cancelled(), if !self.hurried => Event::Hurry,
            // Asked only while handles are left: a closed queue is always ready, and nothing else would get its turn.
            command = self.commands.recv(), if self.has_handles => {
                command.map_or(Event::HandlesGone, Event::Command)
            }
            result = result_of(&mut self.launching) => Event::Launched(result),
            event = next_of(&mut self.current) => Event::Generation(event),
            result = answer_of(&mut self.pinging) => Event::Pinged(result),
            () = sleep_until(due) => Event::Tick,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Command(command) => self.obey(command),
            Event::HandlesGone => {
                self.has_handles = false;
                self.end(Then::Close("nobody uses it any more".into()));
            }
            Event::Hurry => self.hurry(),
            Event::Launched(result) => {
                self.launching = None;
                self.launched(result);
            }
            Event::Generation(GenerationEvent::Exited(end)) => self.exited(end),
            Event::Generation(GenerationEvent::OutputEnded) => self.output_ended(),
            Event::Generation(GenerationEvent::ErrorsEnded) => self.errors_ended(),
            Event::Generation(GenerationEvent::InputEnded(Ok(()))) => {}
            Event::Generation(GenerationEvent::InputEnded(Err(error))) => {
                self.stop(Then::Recover(format!("its input broke: {error}").into()));
            }
            Event::Generation(GenerationEvent::Handshake(result)) => self.handshaken(result),
            Event::Pinged(result) => {
                self.pinging = None;
                // An error is an answer: whoever refuses a ping is there.
                if let Err(CallError::Upstream(error)) = result {
                    self.stop(Then::Recover(format!("it did not answer a ping: {error}").into()));
                }
            }
            Event::Tick => self.tick(),
        }
    }

    fn obey(&mut self, command: Command) {
        // Whoever disables a server lets its instances rest first and stops them then, so a start that crosses the
        // stop is seen here.
        let rests = self.options.resting.load(Ordering::Acquire);
        match command {
            Command::Start(_) if rests => self.stop_by_order("disabled".into()),
            Command::Start(cause) => self.start_for_request(cause),
            Command::Revive(cause, done) => {
                if !rests {
                    self.ensure_started(cause);
                }
                let _ = done.send(());
            }
            Command::Stop(cause, done) => {
                self.await_end.push(done);
                self.stop_by_order(cause);
            }
            Command::Restart(cause, done) if rests => self.obey(Command::Stop(cause, done)),
            Command::Restart(cause, done) => {
                self.await_end.push(done);
                self.end(Then::Start(cause));
            }
            Command::Close(cause) => self.end(Then::Close(cause)),
        }
    }

    /// Those who wait for it see that it was stopped, also when nothing ran.
    fn stop_by_order(&mut self, cause: Arc<str>) {
        self.state.stops += 1;
        self.end(Then::Stay(cause));
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
            Phase::Draining => self.change_then(Then::Start(cause)),
            Phase::Starting | Phase::Ready | Phase::Closed => {}
        }
    }

    fn launch(&mut self, cause: Arc<str>) {
        self.retry_due = None;
        self.then = None;
        self.state.generation += 1;
        self.state.retry_at = None;
        let door = self.options.door.clone();
        let starting = self.options.starting.clone();
        let begun = Arc::new(AtomicBool::new(false));
        let has_begun = begun.clone();
        let result = Box::pin(async move {
            let permit = starting
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            has_begun.store(true, Ordering::Relaxed);
            match tokio::time::timeout(LAUNCH_MAX, door.open()).await {
                Ok(launched) => Ok((launched?, permit)),
                Err(_) => Err(LaunchError::Guard {
                    action: "waiting for the program to start",
                    source: std::io::ErrorKind::TimedOut.into(),
                }),
            }
        });
        self.launching = Some(Launching { result, begun });
        self.publish(Phase::Starting, cause);
    }

    fn launched(&mut self, result: LaunchResult) {
        let then = self.then.take();
        match (result, then) {
            (Err(error), None) => self.not_launched(&error),
            (Err(_), Some(then)) => self.go_on(then),
            (Ok((launched, permit)), None) => self.start_generation(launched, permit),
            (Ok((launched, permit)), Some(then)) => {
                // It was ordered to end while it was being started: no handshake, the ladder at once.
                self.start_generation(launched, permit);
                self.stop(then);
            }
        }
    }

    fn start_generation(&mut self, launched: Launched, permit: OwnedSemaphorePermit) {
        let spec = &self.options.spec;
        let limits = ConnectionLimits {
            in_flight_max: spec.in_flight_max,
            queue_max: spec.queue_max,
            queue_bytes_max: spec.queue_bytes_max,
        };
        let inbound = self.options.inbound.clone();
        let counts = self.options.counts.clone();
        let origin = Origin {
            instance: self.options.instance,
            generation: self.state.generation,
        };
        let connection = Connection::new(spec.name.clone(), origin, limits, inbound, counts);
        let options = GenerationOptions {
            connection,
            spec: spec.clone(),
            opening: self.options.opening.clone(),
            tail: self.options.tail.clone(),
            permit,
        };
        let span = tracing::info_span!(
            "generation",
            generation = self.state.generation,
            pid = launched.process.pid()
        );
        let generation = Generation::start(launched, options, &span);
        self.state.pid = generation.pid();
        self.current = Some(generation);
        self.forgiven = false;
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
                self.state.connection = Some(connection.clone());
                self.state.ready_since = Some(SystemTime::now());
                self.ping_due = self
                    .options
                    .spec
                    .ping_interval
                    .map(|interval| Instant::now() + interval);
                self.publish(Phase::Ready, "handshake".into());
                self.options.inbound.announced(&connection);
            }
        }
    }

    /// After a failure: start again if somebody needs it, within what the budget allows.
    fn recover(&mut self, why: Arc<str>) {
        let exit = self.state.last_exit.clone().filter(|exit| *exit != why);
        let error: Arc<str> = exit.map_or(why.clone(), |exit| format!("{why}; {exit}").into());
        self.state.client_reason = Some(error.clone());
        self.retry(error);
    }

    /// A launch failed. A command that does not exist is not tried again; a system that was short of something is.
    fn not_launched(&mut self, error: &LaunchError) {
        let source =
            std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"));
        // The program may come from a variable, and this text is shown.
        let error_text = self.options.spec.redacted(&format!("{error}{source}"));
        let text: Arc<str> = format!("it could not be started: {error_text}").into();
        self.state.client_reason = Some("it could not be started; the log of the gateway says why".into());
        if error.may_pass() {
            return self.retry(text);
        }
        self.state.last_error = Some(text.clone());
        self.state.retry_at = Some(Instant::now() + self.options.spec.restart.cool_down);
        self.log_last_words(&text);
        self.publish(Phase::Failed, text);
    }

    fn retry(&mut self, error: Arc<str>) {
        self.state.last_error = Some(error.clone());
        self.log_last_words(&error);
        let instance = self.options.instance;
        let chance = (self.options.chance)();
        let decision = self.budget().failed(instance, Instant::now(), chance);
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

    fn budget(&self) -> MutexGuard<'_, RestartBudget> {
        self.options.budget.lock().expect("no holder panics")
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

async fn result_of(launching: &mut Option<Launching>) -> LaunchResult {
    match launching {
        Some(launching) => (&mut launching.result).await,
        None => std::future::pending().await,
    }
}

async fn next_of(current: &mut Option<Generation>) -> GenerationEvent {
    match current {
        Some(generation) => generation.next_event().await,
        None => std::future::pending().await,
    }
}

async fn answer_of(pinging: &mut Option<Pinging>) -> Result<(), CallError> {
    match pinging {
        Some(pinging) => pinging.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
