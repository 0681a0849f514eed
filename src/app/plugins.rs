//! The plugins of a gateway: a roster where there is anything to load, and nothing at all where there is not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::plugin::cache::CompileCache;
use crate::plugin::roster::Source;
use crate::plugin::watch::Watched;
use crate::plugin::{PluginOrders, Plugins, Roster, RosterError, RosterOptions};
use crate::schema::SchemaCache;

/// Where the configuration comes from, for the plugins to follow it while the gateway runs.
#[derive(Clone)]
pub struct ConfigSource {
    /// Its file, to be watched.
    pub file: Option<PathBuf>,
    /// Reads it anew; or says what is wrong with it.
    pub read: Arc<dyn Fn() -> Result<Config, String> + Send + Sync>,
}

impl std::fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigSource")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The plugins of a gateway.
#[derive(Debug)]
pub(super) struct PluginSide {
    /// Those that judge; none without a roster.
    pub(super) plugins: Arc<Plugins>,
    /// All of them, where there is a folder for them or the configuration wants some.
    pub(super) roster: Option<Arc<Roster>>,
    watched: Option<Watched>,
}

impl PluginSide {
    /// Loads the plugins that judge.
    pub(super) async fn start(config: &Config, source: Option<ConfigSource>) -> Result<Self, RosterError> {
        let plugins = Arc::new(Plugins::default());
        let orders = PluginOrders::of(config);
        let dir = &orders.host.dir;
        if orders.plugins.is_empty() && orders.parts.is_empty() && !dir.is_dir() {
            return Ok(Self {
                plugins,
                roster: None,
                watched: None,
            });
        }
        let watched = orders.host.watch.then(|| Watched {
            dir: dir.clone(),
            file: source.as_ref().and_then(|source| source.file.clone()),
        });
        let options = RosterOptions {
            source: followed(orders, source),
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

/// Says first what the gateway has started with, and from then on what its configuration says.
fn followed(first: PluginOrders, source: Option<ConfigSource>) -> Source {
    let Some(source) = source else {
        return Arc::new(move || Ok(first.clone()));
    };
    let first = Mutex::new(Some(first));
    Arc::new(move || {
        let first = first.lock().expect("no holder panics").take();
        first.map_or_else(|| (source.read)().map(|config| PluginOrders::of(&config)), Ok)
    })
}
