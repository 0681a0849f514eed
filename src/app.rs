//! The composition root: a configuration becomes a running gateway, and a running gateway ends in the right order.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::{Config, SupervisionConfig};
use crate::gateway::{Gateway, GatewayOptions};
use crate::http::{HttpContext, Listener, OriginPolicy, Principals, ServeOptions, routes};
use crate::registry::{Actor, EventLog, Registry, Source};
use crate::upstream::backoff::chance;
use crate::upstream::launch::{Launch, LaunchError, SystemLaunch};
use crate::upstream::lease::PoolContext;
use crate::upstream::{Phase, StateChange};

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
    /// Processes cannot be started on this system.
    #[error("cannot prepare to start servers: {0}")]
    Launch(#[from] LaunchError),
    /// The state directory or the admin token could not be prepared.
    #[error("{place}")]
    State {
        /// Which file.
        place: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A running gateway.
#[derive(Debug)]
pub struct App {
    gateway: Arc<Gateway>,
    address: SocketAddr,
    draining: CancellationToken,
    stop: CancellationToken,
    serving: Vec<JoinHandle<()>>,
    tasks: TaskTracker,
    drain_timeout: Duration,
}

/// How often idle sessions and old streams are looked for.
const ROUNDS: Duration = Duration::from_secs(1);
/// How often a drain looks whether the last request is answered.
const DRAIN_POLL: Duration = Duration::from_millis(50);

impl App {
    /// Starts everything: the registry, the servers that start with it, the listeners.
    ///
    /// # Errors
    /// See [`AppError`]; nothing is left running.
    pub async fn start(config: Config) -> Result<Self, AppError> {
        Self::start_with(config, Arc::new(SystemLaunch::new()?)).await
    }

    /// Starts with another way of starting processes.
    ///
    /// # Errors
    /// See [`AppError`].
    pub async fn start_with(config: Config, launch: Arc<dyn Launch>) -> Result<Self, AppError> {
        let config = Arc::new(config);
        let listener = bind(config.listen, &config).await?;
        let address = listener.address();
        let (draining, stop) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();
        let gateway = build_gateway(&config, launch, &tasks);
        let context = HttpContext {
            gateway: gateway.clone(),
            config: config.clone(),
            origins: Arc::new(OriginPolicy::new(
                address,
                &config.http.allowed_hosts,
                &config.http.allowed_origins,
            )),
            principals: Arc::new(Principals::new(&config)),
        };
        let serving = vec![tokio::spawn(listener.serve(
            routes(context),
            draining.clone(),
            stop.clone(),
        ))];
        register_all(&gateway, &config).await;
        let rounds = gateway.clone();
        let stop_rounds = stop.clone();
        tasks.spawn(async move {
            while tokio::time::timeout(ROUNDS, stop_rounds.cancelled())
                .await
                .is_err()
            {
                rounds.look_after_sessions();
            }
        });
        let drain_timeout = config.http.drain_timeout;
        Ok(Self {
            gateway,
            address,
            draining,
            stop,
            serving,
            tasks,
            drain_timeout,
        })
    }

    /// Returns the address of the main listener.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns where the admin API is served, if it is.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns the file with the admin token.
    pub fn token_file(&self) -> &std::path::Path {
        &self.gateway.config().admin.token_file
    }

    /// Returns the gateway.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Ends everything in order: no new connections, requests in flight get the drain time, sessions end, processes
    /// end. When `hurry` is cancelled, nothing gets any more time.
    pub async fn stop(self, cause: &str, hurry: CancellationToken) {
        info!(cause, "stopping");
        self.draining.cancel();
        self.gateway.begin_drain();
        self.drain(&hurry).await;
        let closing = self.gateway.close(cause);
        let hurried = async {
            hurry.cancelled().await;
            loop {
                self.gateway.hurry();
                tokio::time::sleep(DRAIN_POLL).await;
            }
        };
        tokio::select! {
            () = closing => {}
            () = hurried => {}
        }
        self.stop.cancel();
        for serving in self.serving {
            let _ = tokio::time::timeout(self.drain_timeout, serving).await;
        }
        self.tasks.close();
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait())
            .await
            .is_err()
        {
            warn!(tasks = self.tasks.len(), "tasks were left behind");
        }
        info!("stopped");
    }

    async fn drain(&self, hurry: &CancellationToken) {
        let deadline = Instant::now() + self.drain_timeout;
        while self.gateway.in_flight() > 0 && Instant::now() < deadline && !hurry.is_cancelled() {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        let left = self.gateway.in_flight();
        if left > 0 {
            warn!(
                requests = left,
                "requests were still in flight at the end of the drain time"
            );
        }
    }
}

async fn bind(address: SocketAddr, config: &Config) -> Result<Listener, AppError> {
    let options = ServeOptions::of(&config.http);
    Listener::bind(address, options)
        .await
        .map_err(|source| AppError::Listen { address, source })
}

fn build_gateway(config: &Arc<Config>, launch: Arc<dyn Launch>, tasks: &TaskTracker) -> Arc<Gateway> {
    let registry = Registry::new(Arc::new(EventLog::new(config.events.history_max)));
    let options = GatewayOptions {
        config: config.clone(),
        registry: registry.clone(),
        tasks: tasks.clone(),
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
            if change.state.phase == Phase::Closed
                && let Some(gateway) = of_observer.upgrade()
            {
                gateway.forget_hub(change.instance);
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
            environment: std::env::vars_os()
                .filter_map(text_pair)
                .collect::<BTreeMap<_, _>>(),
            chance: Arc::new(chance),
            next_instance: AtomicU64::new(0),
        }
    })
}

fn text_pair((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
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
