//! What a component exports and imports, read from the component itself: no claim is believed.

use wasmtime::component::{Component, InstancePre};

use super::bindings::guest::{access, lifecycle, on_message, routing};
use super::engine::PluginEngine;
use super::state::State;
use crate::config::Grants;

/// A hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// Message validation.
    OnMessage,
    /// Access.
    Access,
    /// Routing policy.
    Routing,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 3] = [Self::Access, Self::OnMessage, Self::Routing];

    /// Returns the name of its interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnMessage => "on-message",
            Self::Access => "access",
            Self::Routing => "routing",
        }
    }
}

/// Where the functions of the hooks are, by interface.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) lifecycle: lifecycle::GuestIndices,
    pub(super) on_message: Option<on_message::GuestIndices>,
    pub(super) access: Option<access::GuestIndices>,
    pub(super) routing: Option<routing::GuestIndices>,
}

impl Exports {
    /// Probes a component.
    ///
    /// # Errors
    /// It does not export `lifecycle`, or no hook.
    pub(super) fn probe(pre: &InstancePre<State>) -> Result<Self, String> {
        let exports = Self {
            lifecycle: lifecycle::GuestIndices::new(pre).map_err(|error| error.to_string())?,
            on_message: on_message::GuestIndices::new(pre).ok(),
            access: access::GuestIndices::new(pre).ok(),
            routing: routing::GuestIndices::new(pre).ok(),
        };
        if exports.hooks().is_empty() {
            return Err(
                "it exports none of on-message, access and routing of portcullis:plugin@0.1".to_owned(),
            );
        }
        Ok(exports)
    }

    /// Returns the hooks that it has.
    pub(super) fn hooks(&self) -> Vec<Hook> {
        let has = |hook: &Hook| match hook {
            Hook::OnMessage => self.on_message.is_some(),
            Hook::Access => self.access.is_some(),
            Hook::Routing => self.routing.is_some(),
        };
        Hook::ALL.into_iter().filter(has).collect()
    }
}

/// The package whose interfaces plugins import.
const PACKAGE: &str = "portcullis:plugin/";
/// The line that this gateway speaks.
pub const ABI: &str = "0.1";

/// Returns the names of what a component imports, without version, and what is wrong with them: every problem at once.
pub(super) fn imports(
    engine: &PluginEngine,
    component: &Component,
    grants: &Grants,
) -> (Vec<String>, Vec<String>) {
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for (import, _) in component.component_type().imports(engine.engine()) {
        match interface(import) {
            Ok(name) => {
                if !is_granted(name, grants) {
                    problems.push(format!(
                        "it imports {PACKAGE}{name}, which is not granted: add it to the plugin's `grant`, or use a build that does without"
                    ));
                }
                names.push(name.to_owned());
            }
            Err(problem) => problems.push(problem),
        }
    }
    (names, problems)
}

/// Returns the name of an imported interface of ours.
fn interface(import: &str) -> Result<&str, String> {
    if import.starts_with("wasi:") {
        return Err(format!(
            "it imports {import}, and no plugin gets WASI: build with --stub-wasi (JavaScript, Python), for \
             wasm32-unknown-unknown (Rust), or without the parts of the library that need an operating system (C)"
        ));
    }
    let Some(rest) = import.strip_prefix(PACKAGE) else {
        return Err(format!("it imports {import}, which this gateway does not have"));
    };
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    let is_ours = version
        .strip_prefix(ABI)
        .is_some_and(|patch| patch.starts_with('.'));
    if !is_ours {
        return Err(format!(
            "it speaks {PACKAGE}{name}@{version}, and this gateway speaks {ABI}"
        ));
    }
    Ok(name)
}

fn is_granted(interface: &str, grants: &Grants) -> bool {
    match interface {
        "kv" => grants.kv.is_some(),
        "http" => grants.http.is_some(),
        "random" => grants.random,
        "schema" => grants.schema,
        // Always there, or refused by the linker.
        _ => true,
    }
}
