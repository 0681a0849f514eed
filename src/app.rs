//! The composition root: a configuration becomes a running gateway, and a running gateway ends in the right order.

mod doors;
mod follow;
pub mod pipes;
mod plugins;
pub mod state_dir;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use self::doors::{Doors, ServingPlan};
pub use self::follow::ConfigSource;
use self::follow::Follower;
use self::plugins::{PluginSide, look_now};
use self::state_dir::{Addresses, Claim, StateError};
use crate::config::{Config, SupervisionConfig, process_environment};
use crate::gateway::{Gateway, GatewayOptions};
use crate::http::Entrance;
use crate::plugin::{Plugins, Roster, RosterError};
use crate::registry::{Actor, EventLog, Registry, Source};
use crate::upstream::PoolContext;
use crate::upstream::StateChange;
use crate::upstream::backoff::chance;
use crate::upstream::launch::{Launch, LaunchError, SystemLaunch};

/// Why the gateway did not start.
#[derive(Debug, Error)]
pub enum AppError {
    /// An address could not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A Unix socket could not be bound.
    #[error("cannot listen on {}", .path.display())]
    ListenUnix {
        /// Which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Processes cannot be started on this system.
    #[error("cannot prepare to start servers")]
    Launch(#[from] LaunchError),
    /// The state directory or the admin token cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A plugin that has to judge is not let in, or nobody would judge access in a mode.
    #[error("the plugins are not ready")]
    Plugins(#[from] RosterError),
}

/// A running gateway.
#[derive(Debug)]
pub struct App {
    gateway: Arc<Gateway>,
    /// Where it listens, if it does.
    addresses: Option<Addresses>,
    /// Where our own command line finds the gateway.
    claim: Option<Claim>,
    draining: CancellationToken,
    stop: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    tasks: TaskTracker,
    roster: Option<Arc<Roster>>,
    drain_timeout: Duration,
}

/// How often idle sessions and old streams are looked for.
const ROUNDS: Duration = Duration::from_secs(1);
/// How long the tasks that were told to end may take for it.
const LAST_TASKS: Duration = Duration::from_secs(10);

impl App {
    /// Starts everything: the registry, the servers that start with it, the listeners.
    ///
    /// # Errors
    /// See [`AppError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        Self::start_with(config, Arc::new(SystemLaunch::new()?)).await
    }

    /// Starts with a configuration that is followed while the gateway runs: its plugins, modes, principals and routes.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn start_following(source: ConfigSource) -> Result<Self, AppError> {
        let config = source.first.config.clone();
        Self::begin(config, Arc::new(SystemLaunch::new()?), Some(source), true).await
    }

    /// Starts the same without any listener: for a client that is there already. It uses no state directory.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn start_silent(source: ConfigSource) -> Result<Self, AppError> {
        let config = source.first.config.clone();
        Self::begin(config, Arc::new(SystemLaunch::new()?), Some(source), false).await
    }

    /// Starts with another way of starting processes.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn start_with(config: Config, launch: Arc<dyn Launch>) -> Result<Self, AppError> {
        Self::begin(config, launch, None, true).await
    }

    async fn begin(
        config: Config,
        launch: Arc<dyn Launch>,
        source: Option<ConfigSource>,
        listens: bool,
    ) -> Result<Self, AppError> {
        let config = Arc::new(config);
        let doors = match listens {
            true => Some(Doors::open(&config).await?),
            false => None,
        };
        let addresses = doors.as_ref().map(Doors::addresses);
        let claim = match &addresses {
            Some(addresses) if config.admin.enabled => Claim::new(&config.state_dir, addresses)?,
            _ => None,
        };
        let (draining, stop) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let events = Arc::new(EventLog::new(config.events.history_max));
        let registry = Registry::new(events, config.routes.clone());
        let entrance = Arc::new(Entrance::new(&config));
        let follower = Follower::new(config.clone(), source, entrance.clone(), registry.clone());
        let needs_restart = follower.needs_restart();
        let plugins = PluginSide::start(Arc::new(follower)).await?;
        let gateway = build_gateway(&config, launch, &tasks, (registry, plugins.plugins.clone()));
        // Who connects meanwhile waits: nobody is told that a configured server is not there.
        register_all(&gateway, &config).await;
        let roster = plugins.roster.clone();
        let plan = ServingPlan {
            gateway: gateway.clone(),
            entrance: entrance.clone(),
            roster: roster.clone(),
            needs_restart,
            tasks: tasks.clone(),
        };
        let serving = match doors {
            Some(doors) => doors.serve(plan, (&draining, &stop)),
            None => Vec::new(),
        };
        tasks.spawn(look_after(
            gateway.clone(),
            entrance,
            roster.clone(),
            stop.clone(),
        ));
        plugins.attend(&tasks, &stop);
        let drain_timeout = config.http.drain_timeout;
        Ok(Self {
            gateway,
            addresses,
            claim,
            draining,
            stop,
            serving,
            tasks,
            roster,
            drain_timeout,
        })
    }

    /// Returns the address of the main listener, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.addresses.as_ref().map(|addresses| addresses.address)
    }

    /// Returns where the admin API is served, if it is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.addresses.as_ref()?.admin
    }

    /// Returns the file with the admin token.
    pub fn token_file(&self) -> &std::path::Path {
        &self.gateway.config().admin.token_file
    }

    /// Returns the gateway.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Looks at the configuration and the plugins now, without waiting for it to be done.
    pub fn look_now(&self) {
        look_now(self.roster.as_ref(), &self.tasks, &self.stop);
    }

    /// Ends everything in order: no new connections, requests in flight get the drain time, sessions end, processes
    /// end. When `hurry` is cancelled, nothing gets any more time.
    pub async fn stop(mut self, cause: &str, hurry: CancellationToken) {
        info!(cause, "stopping");
        drop(self.claim.take());
        self.draining.cancel();
        self.gateway.begin_drain();
        self.drain(&hurry).await;
        let closing = self.gateway.close(cause);
        let hurried = async {
            hurry.cancelled().await;
            self.gateway.hurry();
            std::future::pending().await
        };
        tokio::select! {
            () = closing => {}
            () = hurried => {}
        }
        self.stop.cancel();
        self.tasks.close();
        let rest = async {
            for ended in futures_util::future::join_all(self.serving).await {
                if let Err(error) = ended {
                    error!(%error, "a listener did not end as it should");
                }
            }
            self.tasks.wait().await;
        };
        if tokio::time::timeout(LAST_TASKS, rest).await.is_err() {
            warn!(tasks = self.tasks.len(), "tasks were left behind");
        }
        info!("stopped");
    }

    async fn drain(&self, hurry: &CancellationToken) {
        tokio::select! {
            () = self.gateway.drained() => return,
            () = tokio::time::sleep(self.drain_timeout) => {}
            () = hurry.cancelled() => {}
        }
        let requests = self.gateway.in_flight();
        warn!(requests, "requests in flight get no more time");
    }
}

fn build_gateway(
    config: &Arc<Config>,
    launch: Arc<dyn Launch>,
    tasks: &TaskTracker,
    (registry, plugins): (Arc<Registry>, Arc<Plugins>),
) -> Arc<Gateway> {
    let options = GatewayOptions {
        config: config.clone(),
        registry: registry.clone(),
        tasks: tasks.clone(),
        plugins,
    };
    let SupervisionConfig {
        starting_max,
        pid_namespace,
    } = config.supervision;
    let tasks = tasks.clone();
    Gateway::new(options, move |gateway| {
        let of_observer = gateway.clone();
        let observer = move |change: &StateChange| {
            registry.note(change);
            if let Some(gateway) = of_observer.upgrade() {
                gateway.note(change);
            }
        };
        PoolContext {
            launch,
            tasks,
            starting: Arc::new(Semaphore::new(starting_max)),
            observer: Arc::new(observer),
            shared_inbound: Box::new(move |instance| {
                gateway
                    .upgrade()
                    .expect("a pool lives in its gateway")
                    .new_hub(instance)
            }),
            pid_namespace,
            environment: process_environment(),
            chance: Arc::new(chance),
            next_instance: AtomicU64::new(0),
        }
    })
}

async fn look_after(
    gateway: Arc<Gateway>,
    entrance: Arc<Entrance>,
    roster: Option<Arc<Roster>>,
    stop: CancellationToken,
) {
    while tokio::time::timeout(ROUNDS, stop.cancelled()).await.is_err() {
        gateway.look_after_sessions();
        // Here, and not where the configuration changes: so none is missed that was just being opened.
        gateway.end_sessions_unless(|caller| entrance.still_lets_in(caller));
        if let Some(roster) = &roster {
            roster.look_after_instances();
        }
    }
}

async fn register_all(gateway: &Arc<Gateway>, config: &Config) {
    for spec in config.servers.values() {
        if let Err(error) = gateway
            .register(spec.clone(), Source::Config, Actor::Config)
            .await
        {
            warn!(server = %spec.name, %error, "not registered");
        }
    }
}
