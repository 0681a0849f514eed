//! What is known of one plugin, and what the log says when that changes.

use std::sync::Arc;

use tracing::{info, warn};

use super::super::error::cut;
use super::super::loader::LoadedPlugin;
use super::super::wishes;

/// Longest text of why a plugin was not let in, in bytes: it can hold what an author wrote.
pub(super) const ERROR_MAX: usize = 4096;

/// What is known of one plugin.
#[derive(Clone, Default)]
pub(in super::super) struct Entry {
    pub(in super::super) live: Option<Arc<LoadedPlugin>>,
    pub(in super::super) failure: Option<Failure>,
    /// Digest of what was tried last and need not be tried again.
    pub(super) tried: Option<[u8; 32]>,
}

/// Why the newest candidate was not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Failure {
    pub(in super::super) error: String,
    /// Of its component, if that could be read.
    pub(in super::super) sha256: Option<String>,
}

impl Entry {
    /// Has a new generation.
    pub(super) fn loaded(self, loaded: LoadedPlugin, digest: [u8; 32]) -> Self {
        announce(&loaded, self.live.as_deref());
        Self {
            live: Some(Arc::new(loaded)),
            failure: None,
            tried: Some(digest),
        }
    }

    /// Has a candidate that is not let in; the generation before goes on.
    pub(super) fn failed(
        self,
        name: &str,
        error: String,
        sha256: Option<String>,
        tried: Option<[u8; 32]>,
    ) -> Self {
        let failure = Failure {
            error: cut(error, ERROR_MAX),
            sha256,
        };
        if self.failure.as_ref() != Some(&failure) {
            let goes_on = self.live.as_ref().map(|live| live.plugin.generation());
            warn!(plugin = name, error = failure.error, goes_on, "plugin not let in");
        }
        Self {
            live: self.live,
            failure: Some(failure),
            tried,
        }
    }
}

/// Returns what is wrong with a plugin, with its place in the configuration.
pub(super) fn failed(name: &str, failure: &Failure) -> String {
    format!("plugins.{name}: {}", failure.error)
}

fn announce(loaded: &LoadedPlugin, before: Option<&LoadedPlugin>) {
    let plugin = &loaded.plugin;
    info!(
        plugin = plugin.name(),
        generation = plugin.generation(),
        version = plugin.version(),
        sha256 = plugin.sha256(),
        "plugin loaded"
    );
    for warning in &loaded.warnings {
        warn!(plugin = plugin.name(), warning, "look at this plugin");
    }
    let Some(before) = before.map(|before| before.plugin.manifest()) else {
        return;
    };
    let more: Vec<String> = wishes::requested(&plugin.manifest().requests)
        .difference(&wishes::requested(&before.requests))
        .cloned()
        .collect();
    if !more.is_empty() {
        let more = more.join(", ");
        warn!(
            plugin = plugin.name(),
            more, "this version asks for more than the one before"
        );
    }
    let hooks = &plugin.manifest().hooks;
    let is_same = |hook| hooks.entries().any(|other| other == hook);
    for hook in before.hooks.entries().filter(|hook| !is_same(*hook)) {
        let hook = hook.0;
        warn!(
            plugin = plugin.name(),
            hook, "this version is asked about other messages than the one before"
        );
    }
}
