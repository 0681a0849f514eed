//! What a component exports and imports, read from the component itself: no claim is believed.

use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre};

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

/// The functions of one instance, by interface.
pub(super) type Loaded = (
    lifecycle::Guest,
    Option<on_message::Guest>,
    Option<access::Guest>,
    Option<routing::Guest>,
);

impl Exports {
    /// Probes a component. What it exports besides is nobody's business.
    ///
    /// # Errors
    /// It speaks another line, does not export `lifecycle`, or no hook, or one of them without all its functions.
    pub(super) fn probe(engine: &PluginEngine, pre: &InstancePre<State>) -> Result<Self, Vec<String>> {
        let kind = pre.component().component_type();
        let names: Vec<&str> = kind.exports(engine.engine()).map(|(name, _)| name).collect();
        let ours = names.iter().filter(|name| name.starts_with(PACKAGE));
        let mut problems: Vec<String> = ours.filter_map(|name| interface(name, "exports").err()).collect();
        let mut missing = |error: wasmtime::Error| problems.push(error.to_string());
        let lifecycle = lifecycle::GuestIndices::new(pre).map_err(&mut missing).ok();
        let has = |hook: Hook| {
            names
                .iter()
                .any(|name| interface(name, "exports") == Ok(hook.as_str()))
        };
        let exports = (
            has(Hook::OnMessage).then(|| on_message::GuestIndices::new(pre).map_err(&mut missing).ok()),
            has(Hook::Access).then(|| access::GuestIndices::new(pre).map_err(&mut missing).ok()),
            has(Hook::Routing).then(|| routing::GuestIndices::new(pre).map_err(&mut missing).ok()),
        );
        let Some(lifecycle) = lifecycle.filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let exports = Self {
            lifecycle,
            on_message: exports.0.flatten(),
            access: exports.1.flatten(),
            routing: exports.2.flatten(),
        };
        if exports.hooks().is_empty() {
            let text =
                format!("it exports none of on-message, access and routing of portcullis:plugin@{ABI}");
            return Err(vec![text]);
        }
        Ok(exports)
    }

    /// Finds the functions in an instance, and checks their types.
    ///
    /// # Errors
    /// A function does not take or return what the WIT says.
    pub(super) fn load(&self, store: &mut Store<State>, instance: &Instance) -> Result<Loaded, String> {
        let other = |hook: &'static str| {
            move |error: wasmtime::Error| {
                format!(
                    "its {hook} is not that of portcullis:plugin@{ABI}: {}",
                    error.root_cause()
                )
            }
        };
        let lifecycle = self
            .lifecycle
            .load(&mut *store, instance)
            .map_err(other("lifecycle"))?;
        let on_message = self
            .on_message
            .as_ref()
            .map(|hook| hook.load(&mut *store, instance));
        let access = self.access.as_ref().map(|hook| hook.load(&mut *store, instance));
        let routing = self.routing.as_ref().map(|hook| hook.load(&mut *store, instance));
        Ok((
            lifecycle,
            on_message.transpose().map_err(other("on-message"))?,
            access.transpose().map_err(other("access"))?,
            routing.transpose().map_err(other("routing"))?,
        ))
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
        match interface(import, "imports") {
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

/// Returns the name of an interface of ours that a component imports or exports.
fn interface<'a>(full: &'a str, verb: &str) -> Result<&'a str, String> {
    if full.starts_with("wasi:") {
        return Err(format!(
            "it {verb} {full}, and no plugin gets WASI: build with --stub-wasi (JavaScript, Python), for \
             wasm32-unknown-unknown (Rust), or without the parts of the library that need an operating system (C)"
        ));
    }
    let Some(rest) = full.strip_prefix(PACKAGE) else {
        return Err(format!("it {verb} {full}, which this gateway does not have"));
    };
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    let patch = version.strip_prefix(ABI);
    if !patch.is_some_and(|patch| patch.starts_with('.')) {
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
