//! Who is to judge, and why a set of judges cannot be put in place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::orders::PluginOrders;
use super::super::plugin::Plugin;
use super::super::wishes;
use super::Scope;
use super::entry::{Entry, failed};
use crate::config::Activate;

type Entries = BTreeMap<String, Entry>;

/// Returns the plugins that judge: the named ones in their order, then perhaps the others by name.
pub(super) fn judges(orders: &PluginOrders, entries: &Entries) -> Vec<Arc<Plugin>> {
    let live = |name: &String| Some(entries.get(name)?.live.as_ref()?.plugin.clone());
    in_order(orders, entries).into_iter().filter_map(live).collect()
}

/// Returns why a set cannot be put in place.
///
/// Somebody who has to judge would be missing; later than at the start, one that is dropped and not let in is no reason,
/// because it has never judged. Or somebody would judge by something else than the gateway: what a plugin receives of its
/// configuration, such as the modes, comes to both at once or to neither, so with `has_new_parts` no judge that receives any
/// may stay as it was.
pub(super) fn problems(
    orders: &PluginOrders,
    entries: &Entries,
    judges: &[Arc<Plugin>],
    scope: Scope<'_>,
    has_new_parts: bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let is_named = |name: &String| orders.plugins.iter().any(|spec| spec.name == *name);
    for name in in_order(orders, entries) {
        let entry = &entries[name];
        let Some(failure) = &entry.failure else { continue };
        let is_needed = match &entry.live {
            None => matches!(scope, Scope::Start) || is_named(name),
            Some(live) => has_new_parts && !live.plugin.manifest().config.receives.is_empty(),
        };
        if is_needed {
            problems.push(failed(name, failure));
        }
    }
    for mode in wishes::unguarded(orders.modes(), judges) {
        problems.push(format!(
            "modes.{mode}: no plugin that judges decides on access in this mode: let [[plugins]] name one that does, such as mode-access"
        ));
    }
    problems
}

/// Returns the names of those that are to judge.
fn in_order<'o>(orders: &'o PluginOrders, entries: &'o Entries) -> Vec<&'o String> {
    let mut names: Vec<&String> = orders.plugins.iter().map(|spec| &spec.name).collect();
    if orders.host.activate == Activate::Dropped {
        let named: BTreeSet<&String> = names.iter().copied().collect();
        names.extend(entries.keys().filter(|name| !named.contains(name)));
    }
    names
}
