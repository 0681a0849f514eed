//! The handle of one instance: how others wait for it, use it and order it about.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{Chance, RestartBudget};
use super::connection::{Connection, ConnectionCounts};
use super::door::Door;
use super::error::UpstreamError;
use super::handshake::Opening;
use super::inbound::ServerMessages;
use super::room::Place;
use super::state::{Observer, Phase, UpstreamState};
use super::stderr::StderrTail;
use super::supervisor::{Command, Supervisor};
use crate::config::ServerSpec;

/// Who uses an instance.
#[derive(Debug)]
pub struct Usage {
    leases: AtomicUsize,
    waiting: AtomicUsize,
    last_release: Mutex<Instant>,
}

impl Usage {
    pub(super) fn new() -> Arc<Self> {
        let last_release = Mutex::new(Instant::now());
        Arc::new(Self {
            leases: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            last_release,
        })
    }

    /// Returns how many sessions hold a lease.
    pub fn leases(&self) -> usize {
        self.leases.load(Ordering::Relaxed)
    }

    /// Returns how many requests wait for the instance to become ready.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn last_release(&self) -> Instant {
        *self.last_release.lock().expect("no holder panics")
    }

    pub(super) fn acquire(&self) {
        self.leases.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        *self.last_release.lock().expect("no holder panics") = Instant::now();
        self.leases.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an instance is made of.
#[derive(Clone)]
pub struct UpstreamOptions {
    /// The server's configuration.
    pub spec: Arc<ServerSpec>,
    /// Which instance of the server this is.
    pub instance: u64,
    /// How the server is started or reached.
    pub door: Door,
    /// How the conversation opens, at every start.
    pub opening: Opening,
    /// Who takes what the server says on its own.
    pub inbound: Arc<dyn ServerMessages>,
    /// Who is told of each change of state.
    pub observer: Observer,
    /// Bounds how many servers start at once.
    pub starting: Arc<Semaphore>,
    /// The server's failures, shared by its instances.
    pub budget: Arc<Mutex<RestartBudget>>,
    /// The last lines of stderr.
    pub tail: Arc<StderrTail>,
    /// Who uses it.
    pub usage: Arc<Usage>,
    /// Whether nothing starts it at present: its server is disabled.
    pub resting: Arc<AtomicBool>,
    /// What was not forwarded.
    pub counts: Arc<ConnectionCounts>,
    /// Spreads the delays of restarts.
    pub chance: Chance,
    /// Once cancelled, no stop gets a grace any more, also when every handle is gone.
    pub hurry: CancellationToken,
}

impl std::fmt::Debug for UpstreamOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamOptions")
            .field("server", &self.spec.name)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// An instance of a server. Dropping the last handle ends its process.
pub struct Upstream {
    options: UpstreamOptions,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<UpstreamState>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("server", &self.options.spec.name)
            .field("instance", &self.options.instance)
            .finish_non_exhaustive()
    }
}

/// Orders that wait for a supervisor. It never waits for anything itself, so this only fills if the machine stalls.
const COMMANDS_MAX: usize = 64;

impl Upstream {
    /// Makes an instance and the task that supervises it, which the caller has to spawn. It starts nothing before it has its
    /// place.
    pub(super) fn prepare(
        options: UpstreamOptions,
        place: Option<Place>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (commands, commands_rx) = mpsc::channel(COMMANDS_MAX);
        let (published, state) = watch::channel(UpstreamState::stopped());
        let supervisor = Supervisor::new(options.clone(), commands_rx, published).run(place);
        let upstream = Self {
            options,
            commands,
            state,
        };
        (Arc::new(upstream), supervisor)
    }

    /// Returns which instance of its server this is.
    pub fn instance(&self) -> u64 {
        self.options.instance
    }

    /// Returns the configuration it runs with.
    pub fn spec(&self) -> &Arc<ServerSpec> {
        &self.options.spec
    }

    /// Returns whether its server is the one whose failures these are.
    pub(super) fn is_of(&self, budget: &Arc<Mutex<RestartBudget>>) -> bool {
        Arc::ptr_eq(&self.options.budget, budget)
    }

    /// Returns whether the instance is gone for good.
    pub fn is_closed(&self) -> bool {
        self.state.borrow().phase == Phase::Closed
    }

    /// Returns the last lines that the server wrote to stderr.
    pub fn stderr_lines(&self) -> Vec<String> {
        self.options.tail.lines()
    }

    /// Returns what was not forwarded.
    pub fn counts(&self) -> &ConnectionCounts {
        &self.options.counts
    }

    /// Returns who uses it.
    pub fn usage(&self) -> &Arc<Usage> {
        &self.options.usage
    }

    /// Returns what it is now.
    pub fn state(&self) -> UpstreamState {
        self.state.borrow().clone()
    }

    /// Returns how many requests wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.current().map_or(0, |connection| connection.in_flight())
    }

    /// Returns the connection if the instance is ready this very moment.
    pub fn current(&self) -> Option<Arc<Connection>> {
        self.state.borrow().connection.clone()
    }

    /// Returns a connection that takes requests, starting the process and waiting for it where needed.
    ///
    /// # Errors
    /// The instance has failed, is gone, was stopped by order meanwhile, or was not ready at the deadline.
    pub async fn connection(&self, deadline: Instant) -> Result<Arc<Connection>, UpstreamError> {
        if let Some(connection) = self.current()
            && !connection.is_closed()
        {
            return Ok(connection);
        }
        self.options.usage.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.options.usage);
        match tokio::time::timeout_at(deadline, self.wait_until_ready()).await {
            Ok(result) => result,
            Err(_) => Err(UpstreamError::NotReady(self.state.borrow().reason())),
        }
    }

    async fn wait_until_ready(&self) -> Result<Arc<Connection>, UpstreamError> {
        let mut state = self.state.clone();
        let stops = state.borrow().stops;
        loop {
            let seen = state.borrow_and_update().clone();
            if seen.stops > stops {
                return Err(UpstreamError::Stopped("while the request waited for it".into()));
            }
            match seen.phase {
                Phase::Ready => {
                    let connection = seen.connection.expect("a ready instance has a connection");
                    if !connection.is_closed() {
                        return Ok(connection);
                    }
                }
                Phase::Closed => return Err(UpstreamError::Stopped(seen.reason())),
                Phase::Failed if seen.retry_at.is_some_and(|at| at > Instant::now()) => {
                    return Err(UpstreamError::Failed(seen.reason()));
                }
                Phase::Stopped | Phase::Failed | Phase::Draining => {
                    self.order(Command::Start("request".into())).await;
                }
                Phase::Starting | Phase::Backoff => {}
            }
            if state.changed().await.is_err() {
                return Err(UpstreamError::Stopped("the server was removed".into()));
            }
        }
    }

    /// Makes it run although nobody asks for it yet; waits until the order is taken, not until it is ready.
    pub async fn ensure_started(&self, cause: &str) {
        self.carry_out(|done| Command::Revive(cause.into(), done)).await;
    }

    /// Ends the process and waits for that. Requests in flight or waiting are answered with an error; the next one
    /// starts it again.
    pub async fn stop(&self, cause: &str) {
        self.carry_out(|done| Command::Stop(cause.into(), done)).await;
    }

    /// Ends the process, starts another one and waits until that is ready or has failed, or was stopped meanwhile.
    pub async fn restart(&self, cause: &str) {
        self.carry_out(|done| Command::Restart(cause.into(), done)).await;
        self.wait_for(has_settled).await;
    }

    /// Makes it run although nobody asks for it yet, and waits until it is ready or has failed once.
    pub async fn start_and_settle(&self, cause: &str) {
        self.ensure_started(cause).await;
        self.wait_for(has_settled).await;
    }

    /// Ends the process and the instance, and waits for that.
    pub async fn close(&self, cause: &str) {
        self.order(Command::Close(cause.into())).await;
        self.wait_for(|state| state.phase == Phase::Closed).await;
    }

    /// Orders a new instance to end before anything else.
    pub(super) fn close_soon(&self, cause: &str) {
        let sent = self.commands.try_send(Command::Close(cause.into()));
        debug_assert!(sent.is_ok(), "the queue of a new instance is empty");
    }

    /// Gives an order and waits until it has been carried out.
    async fn carry_out(&self, order: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (tx, done) = oneshot::channel();
        self.order(order(tx)).await;
        // An error is the end of the supervisor, after which nothing is left either.
        let _ = done.await;
    }

    async fn order(&self, command: Command) {
        // Fails only when the instance is closed, and then there is nothing to order.
        let _ = self.commands.send(command).await;
    }

    async fn wait_for(&self, reached: impl FnMut(&UpstreamState) -> bool) {
        // Fails only when the supervisor is gone: it will not get any further.
        let _ = self.state.clone().wait_for(reached).await;
    }
}

/// Returns whether a start has come to its end. A process that failed and that nobody needs is stopped again.
fn has_settled(state: &UpstreamState) -> bool {
    !matches!(state.phase, Phase::Starting | Phase::Draining)
}

/// Counts a request that waits, also when it is dropped.
struct Waiting<'a>(&'a Usage);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
