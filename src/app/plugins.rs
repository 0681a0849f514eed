//! The plugins of a gateway: a roster where there is anything to load or to follow, and nothing at all where there is not.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::follow::Follower;
use crate::plugin::cache::CompileCache;
use crate::plugin::watch::Watched;
use crate::plugin::{Plugins, Roster, RosterError, RosterOptions};
use crate::schema::SchemaCache;

/// The plugins of a gateway.
#[derive(Debug)]
pub(super) struct PluginSide {
    /// Those that judge; none without a roster.
    pub(super) plugins: Arc<Plugins>,
    /// All of them, where there is a folder for them, or the configuration wants some or is followed.
    pub(super) roster: Option<Arc<Roster>>,
    watched: Option<Watched>,
}

impl PluginSide {
    /// Loads the plugins that judge.
    pub(super) async fn start(follower: Arc<Follower>) -> Result<Self, RosterError> {
        let plugins = Arc::new(Plugins::default());
        let orders = follower.first_orders();
        let dir = &orders.host.dir;
        let is_nothing = orders.plugins.is_empty() && orders.parts.is_empty() && !dir.is_dir();
        if is_nothing && !follower.follows() {
            return Ok(Self {
                plugins,
                roster: None,
                watched: None,
            });
        }
        let watched = orders.host.watch.then(|| Watched {
            dir: dir.clone(),
            file: follower.file(),
        });
        let options = RosterOptions {
            source: follower,
            cache: CompileCache::of_user(),
            schemas: Arc::new(SchemaCache::default()),
            plugins: plugins.clone(),
        };
        Ok(Self {
            roster: Some(Roster::start(options).await?),
            plugins,
            watched,
        })
    }

    /// Looks after the plugins until the gateway stops.
    pub(super) fn attend(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        if let Some(roster) = &self.roster {
            tasks.spawn(roster.clone().attend(self.watched.clone(), stop.clone()));
        }
    }
}

/// Looks for changes now, until the gateway stops. What is wrong with them is in the log and in the records.
pub(super) fn look_now(roster: Option<&Arc<Roster>>, tasks: &TaskTracker, stop: &CancellationToken) {
    let Some(roster) = roster.cloned() else {
        warn!("this gateway follows no configuration");
        return;
    };
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = roster.reload() => {}
        }
    });
}
