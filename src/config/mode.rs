//! Modes: which there are, and who may use which. What a mode allows is said in its table, which the plugins that
//! receive it understand.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::keys::MODES;
use super::name::check_name;
use super::scope::Scope;
use super::suggest::closest;
use super::tree::{Node, Table};
use super::violation::{Findings, Place};

/// The settings of modes, by name: tables whose meaning is that of the plugins that receive them.
pub type Modes = BTreeMap<String, Value>;

/// The modes of one client. Where the configuration has no modes there are none here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModeAccess {
    /// Those that it may choose.
    pub allowed: BTreeSet<String>,
    /// That which it is in if it chooses none; one of `allowed`. Without one it must choose.
    pub usual: Option<String>,
}

/// Reads the modes. Their names are checked, what is in them is not.
pub(super) fn read_modes(merged: &Table, findings: &Findings) -> Modes {
    let mut modes = Modes::new();
    for (name, node) in merged.table(MODES).into_iter().flat_map(|table| &table.entries) {
        let path = format!("{MODES}.{name}");
        match (node, check_name(name)) {
            (Node::Leaf(leaf), _) => {
                let message = format!("expected a table: write `[{path}]` and what it allows below");
                findings.refuse(&leaf.place, path, message);
            }
            (Node::Table(table), Err(error)) => {
                findings.refuse(&table.place, path, format!("{error}; rename it"));
            }
            (Node::Table(table), Ok(())) => {
                modes.insert(name.clone(), table.value());
            }
        }
    }
    modes
}

/// Reads `default-mode`.
pub(super) fn read_default_mode(top: &Scope<'_>, modes: &Modes, findings: &Findings) -> Option<String> {
    let mode = top.text("default-mode")?;
    refuse_unknown_mode(top, "default-mode", None, &mode, modes, findings);
    Some(mode)
}

impl ModeAccess {
    /// Reads the keys `modes` and `mode` of a client. Who says nothing gets the default mode and no other.
    pub(super) fn read(
        scope: &Scope<'_>,
        modes: &Modes,
        default_mode: Option<&String>,
        findings: &Findings,
    ) -> Self {
        let list = scope.leaf("modes").map(|_| scope.texts("modes"));
        for (index, mode) in list.iter().flatten().enumerate() {
            refuse_unknown_mode(scope, "modes", Some(index), mode, modes, findings);
        }
        let own = scope.text("mode");
        if let Some(own) = &own {
            refuse_unknown_mode(scope, "mode", None, own, modes, findings);
            if list.as_ref().is_some_and(|list| !list.contains(own)) {
                let message = format!("`{own}` is not among its `modes`: add it there, or choose another");
                findings.refuse(scope.place("mode"), scope.path("mode"), message);
            }
        }
        let usual = own.or_else(|| default_mode.cloned());
        let allowed: BTreeSet<String> = match list {
            Some(list) => list.into_iter().collect(),
            None => usual.iter().cloned().collect(),
        };
        Self {
            usual: usual.filter(|mode| allowed.contains(mode)),
            allowed,
        }
    }

    /// Warns where there are modes and none is for this client.
    pub(super) fn warn_of_none(&self, modes: &Modes, place: &Place, path: &str, findings: &Findings) {
        if !modes.is_empty() && self.allowed.is_empty() {
            let message = "no mode is for this client, so all it sends is refused: give it `modes`, or set `default-mode`";
            findings.warn(place, path, message);
        }
    }
}

/// Refuses the name of a mode that there is not. `index` is its place in a list.
pub(super) fn refuse_unknown_mode(
    scope: &Scope<'_>,
    key: &str,
    index: Option<usize>,
    mode: &str,
    modes: &Modes,
    findings: &Findings,
) {
    if modes.contains_key(mode) {
        return;
    }
    let path = match index {
        Some(index) => format!("{}[{index}]", scope.path(key)),
        None => scope.path(key),
    };
    let names = modes.keys().map(String::as_str);
    let message = match closest(mode, names) {
        Some(meant) => format!("there is no mode `{mode}`; did you mean `{meant}`?"),
        None => format!("there is no mode `{mode}`: write `[{MODES}.{mode}]` and what it allows below"),
    };
    findings.refuse(scope.place(key), path, message);
}
