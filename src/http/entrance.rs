//! Who is let in, in which mode, and who of them may operate the registry: what the configuration says of that, replaced
//! whole while the gateway runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::auth::Principals;
use super::mode::ModePolicy;
use crate::config::{Config, RegistryAccess};
use crate::session::Caller;

/// What holds at present.
#[derive(Debug)]
pub struct Entrance(ArcSwap<Admission>);

/// What held when a request came; the request keeps it.
#[derive(Debug)]
pub(super) struct Admission {
    /// Who asks.
    pub(super) principals: Principals,
    /// In which mode.
    pub(super) modes: ModePolicy,
    /// Which principals may do something to the registry, and how much.
    pub(super) registry: BTreeMap<Arc<str>, RegistryAccess>,
}

impl Entrance {
    /// Returns what a configuration says.
    pub fn new(config: &Config) -> Self {
        Self(ArcSwap::from_pointee(Admission::of(config)))
    }

    /// Lets another configuration hold, for every request that comes from now on.
    pub fn replace(&self, config: &Config) {
        self.0.store(Arc::new(Admission::of(config)));
    }

    /// Returns whether somebody would be let in now in the mode that was chosen for a session: if not, the session is
    /// to end.
    pub fn still_lets_in(&self, caller: &Caller) -> bool {
        let admission = self.current();
        admission.principals.knows(&caller.principal) && admission.modes.still_allows(caller)
    }

    pub(super) fn current(&self) -> Arc<Admission> {
        self.0.load_full()
    }
}

impl Admission {
    fn of(config: &Config) -> Self {
        let operators = config
            .principals
            .iter()
            .filter(|(_, principal)| principal.registry != RegistryAccess::None);
        Self {
            principals: Principals::new(config),
            modes: ModePolicy::new(config),
            registry: operators
                .map(|(name, principal)| (name.as_str().into(), principal.registry))
                .collect(),
        }
    }
}
