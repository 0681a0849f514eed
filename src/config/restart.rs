//! What of a changed configuration a running gateway does not follow.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::NAMED;
use super::loader::Loaded;

/// Keys of the fixed sections that a running gateway follows. Of the named things it follows all but the servers.
const FOLLOWED: [&str; 8] = [
    "default-mode",
    "http.mode-header",
    "anonymous.enabled",
    "anonymous.modes",
    "anonymous.mode",
    "plugin-host.activate",
    "plugin-host.require-signature",
    "plugin-host.trusted-keys",
];

impl Loaded {
    /// Returns the keys that have another value than in the configuration that a gateway has started with, and that it
    /// reads at its start only: `http.body-max`, `servers.NAME`.
    pub fn needs_restart_after(&self, first: &Self) -> Vec<String> {
        let (before, after) = (first.fixed(), self.fixed());
        let keys: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
        let keys = keys.into_iter().filter(|key| before.get(key) != after.get(key));
        let (before, after) = (&first.config.servers, &self.config.servers);
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let servers = names
            .into_iter()
            .filter(|name| before.get(*name) != after.get(*name));
        keys.map(str::to_owned)
            .chain(servers.map(|name| format!("servers.{name}")))
            .collect()
    }

    /// Returns the values of the fixed sections that are not followed, as they may be shown.
    fn fixed(&self) -> BTreeMap<&str, &str> {
        let is_named = |key: &str| {
            let mut sections = NAMED.iter().map(|(section, _)| *section);
            sections.any(|section| {
                key.strip_prefix(section)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let entries = self.origins.entries.iter();
        let fixed = entries.filter(|entry| {
            let key = entry.key.as_str();
            !is_named(key) && !FOLLOWED.contains(&key)
        });
        fixed
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
            .collect()
    }
}
