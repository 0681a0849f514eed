//! Routes: several registered servers behind one name. Which of them a session gets is for routing policies to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::keys::ROUTES;
use super::name::ServerName;
use super::plugin_keys::ROUTE;
use super::scope::Scope;
use super::server::ServerSpec;
use super::tree::{Node, Table};
use super::violation::Findings;

/// The routes, by the segment of their URL.
pub type Routes = BTreeMap<String, RouteSpec>;

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSpec {
    /// The servers in the order of the configuration; at least one, none twice.
    pub servers: Vec<RouteServer>,
}

/// One server of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteServer {
    /// Its name. It is registered when the gateway starts, and can be unregistered later.
    pub server: ServerName,
    /// Its share of the sessions.
    pub weight: u32,
    /// What routing policies choose by.
    pub labels: BTreeMap<String, String>,
}

/// The servers of a configuration.
type Servers = BTreeMap<ServerName, Arc<ServerSpec>>;

impl RouteSpec {
    /// Checks one route's table and reads it. What the result contains counts only if nothing was refused.
    pub(super) fn read(name: &str, table: &Table, servers: &Servers, findings: &Findings) -> Self {
        let path = format!("{ROUTES}.{name}");
        let scope = Scope::new(table, &[ROUTE], &path);
        scope.check(&[], findings);
        if let Err(error) = name.parse::<ServerName>() {
            findings.refuse(&table.place, path.as_str(), format!("{error}; rename it"));
        }
        if let Some(server) = servers.values().find(|server| server.path == name) {
            let message = format!("is the path of server `{}` too: rename one of them", server.name);
            findings.refuse(&table.place, path.as_str(), message);
        }
        let mut seen = BTreeSet::new();
        let read = |entry: &Scope<'_>| RouteServer::read(entry, servers, &mut seen, findings);
        let route = Self {
            servers: scope.entries("servers", read),
        };
        if let Some(list) = scope.leaf("servers")
            && list.value.as_array().is_some_and(Vec::is_empty)
        {
            findings.refuse(
                &list.place,
                scope.path("servers"),
                "a route needs at least one server",
            );
        }
        route
    }
}

impl RouteServer {
    fn read(
        scope: &Scope<'_>,
        servers: &Servers,
        seen: &mut BTreeSet<ServerName>,
        findings: &Findings,
    ) -> Option<Self> {
        let name = scope.text("server")?;
        let refuse = |message: String| findings.refuse(scope.place("server"), scope.path("server"), message);
        let Some(spec) = servers.get(name.as_str()) else {
            refuse(format!(
                "there is no server `{name}`: write `[servers.{name}]`, or remove it here"
            ));
            return None;
        };
        if !seen.insert(spec.name.clone()) {
            refuse(format!("`{name}` is listed twice: remove one of the two"));
        }
        let text = |(name, node): (&String, &Node)| Some((name.clone(), node.value().as_str()?.to_owned()));
        let labels = match scope.node("labels") {
            Some(Node::Table(table)) => table.entries.iter().filter_map(text).collect(),
            _ => BTreeMap::new(),
        };
        Some(Self {
            server: spec.name.clone(),
            weight: scope.leaf("weight").map_or(1, |_| scope.small_count("weight")),
            labels,
        })
    }
}
