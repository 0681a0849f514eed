//! Where a URL leads: to one server, or to the several servers behind the name of a route.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::server::Server;

/// What stands behind one name.
#[derive(Debug, Clone)]
pub enum Target {
    /// A server.
    Server(Arc<Server>),
    /// A route, with those of its servers that are registered now: at least one, in the order of the configuration.
    Route(Vec<RouteTarget>),
}

/// A server that a route may lead to.
#[derive(Debug, Clone)]
pub struct RouteTarget {
    /// The server.
    pub server: Arc<Server>,
    /// Its share of the sessions.
    pub weight: u32,
    /// What routing policies choose by.
    pub labels: BTreeMap<String, String>,
}

impl Target {
    /// Returns whether it may lead to this server.
    pub fn leads_to(&self, server: &Arc<Server>) -> bool {
        match self {
            Self::Server(only) => Arc::ptr_eq(only, server),
            Self::Route(servers) => servers.iter().any(|target| Arc::ptr_eq(&target.server, server)),
        }
    }

    /// Returns the server for a new session where no policy says which: of those that are enabled the one with the
    /// fewest sessions for its weight, the first of these. If none is enabled it is the first of all.
    pub fn usual(&self) -> &Arc<Server> {
        let servers = match self {
            Self::Server(only) => return only,
            Self::Route(servers) => servers,
        };
        let enabled = servers.iter().filter(|target| target.server.is_enabled());
        let least_loaded = enabled.min_by(|one, other| one.load().total_cmp(&other.load()));
        &least_loaded.unwrap_or(&servers[0]).server
    }
}

impl RouteTarget {
    /// Its sessions for its weight, if it got one more; a weight of 0 is the heaviest load.
    fn load(&self) -> f64 {
        let sessions = u32::try_from(self.server.sessions()).unwrap_or(u32::MAX);
        (f64::from(sessions) + 1.0) / f64::from(self.weight)
    }
}
