//! What follows the configuration while the gateway runs: the plugins, the modes and who may use which, the principals,
//! the routes.
//!
//! The roster reads and puts the plugins in place; only then does the rest of the same configuration hold. So a mode is
//! never chosen that those who judge have not heard of. What is not followed is named, because it needs a restart.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::{Config, Loaded};
use crate::http::Entrance;
use crate::plugin::PluginOrders;
use crate::plugin::roster::{Change, ChangeKind, Source};
use crate::registry::events::{NewEvent, Subject};
use crate::registry::{Actor, EventKind, Registry};

/// Where the configuration comes from.
#[derive(Clone)]
pub struct ConfigSource {
    /// What the gateway starts with.
    pub first: Loaded,
    /// Reads it anew; or says what is wrong with it.
    pub read: Arc<dyn Fn() -> Result<Loaded, String> + Send + Sync>,
}

impl std::fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigSource")
            .field("file", &self.first.file)
            .finish_non_exhaustive()
    }
}

/// Brings what was read to where it holds.
pub(super) struct Follower {
    first: Arc<Config>,
    /// None: the configuration stays as it is.
    source: Option<ConfigSource>,
    entrance: Arc<Entrance>,
    registry: Arc<Registry>,
    state: Mutex<State>,
    needs_restart: watch::Sender<Vec<String>>,
}

#[derive(Default)]
struct State {
    has_begun: bool,
    /// What was read last, until it is in place.
    read: Option<Loaded>,
    /// What is in place, if that is not what it has started with.
    in_place: Option<Config>,
}

impl Follower {
    pub(super) fn new(
        first: Arc<Config>,
        source: Option<ConfigSource>,
        entrance: Arc<Entrance>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            first,
            source,
            entrance,
            registry,
            state: Mutex::default(),
            needs_restart: watch::Sender::default(),
        }
    }

    /// Returns whether there is anything to follow.
    pub(super) fn follows(&self) -> bool {
        self.source.is_some()
    }

    /// Returns the file, if there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.source.as_ref()?.first.file.clone()
    }

    /// Returns which keys have another value than what the gateway has started with, and hold after a restart only.
    pub(super) fn needs_restart(&self) -> watch::Receiver<Vec<String>> {
        self.needs_restart.subscribe()
    }

    /// Returns what the gateway has started with wants of plugins.
    pub(super) fn first_orders(&self) -> PluginOrders {
        PluginOrders::of(&self.first)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn tell_what_needs_a_restart(&self, keys: Vec<String>) {
        let is_news = self.needs_restart.send_if_modified(|known| {
            let is_news = *known != keys;
            known.clone_from(&keys);
            is_news
        });
        if is_news && !keys.is_empty() {
            let keys = keys.join(", ");
            warn!(
                keys,
                "these have changed in the configuration and hold after a restart only"
            );
        }
    }
}

impl Source for Follower {
    fn read(&self) -> Result<PluginOrders, String> {
        // It starts with what it was told, whatever the file says by then.
        let is_first = !std::mem::replace(&mut self.state().has_begun, true);
        let Some(source) = self.source.as_ref().filter(|_| !is_first) else {
            return Ok(self.first_orders());
        };
        self.state().read = None;
        let loaded = (source.read)()?;
        let mut orders = PluginOrders::of(&loaded.config);
        // The folder that is watched.
        orders.host.dir.clone_from(&self.first.plugin_host.dir);
        self.state().read = Some(loaded);
        Ok(orders)
    }

    fn adopted(&self) {
        let (Some(source), Some(loaded)) = (&self.source, self.state().read.take()) else {
            return;
        };
        // A request asks for its mode first and for the plugins last; so they come in the other order.
        self.entrance.replace(&loaded.config);
        self.registry.set_routes(loaded.config.routes.clone());
        self.tell_what_needs_a_restart(loaded.needs_restart_after(&source.first));
        let mut state = self.state();
        if state.in_place.as_ref().unwrap_or(&source.first.config) != &loaded.config {
            for warning in &loaded.warnings {
                warn!("{warning}");
            }
            let modes = loaded.config.modes.len();
            info!(modes, "the configuration holds as it was read");
            state.in_place = Some(loaded.config);
        }
    }

    fn changed(&self, change: Change) {
        let Change { plugin, kind, data } = change;
        let (kind, cause) = match kind {
            ChangeKind::Loaded => (EventKind::PluginLoaded, "loaded"),
            ChangeKind::Failed => (EventKind::PluginFailed, "not let in"),
            ChangeKind::StatusChanged => (EventKind::PluginStatusChanged, "named or not"),
            ChangeKind::Removed => (EventKind::PluginRemoved, "removed"),
        };
        self.registry.events().emit(NewEvent {
            kind,
            subject: Subject::Plugin(plugin),
            actor: Actor::Gateway,
            cause: cause.to_owned(),
            data,
        });
    }
}
