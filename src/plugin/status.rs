//! Every generation of every plugin, as people look at it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::exports::Hook;
use super::metrics::HookFigures;
use super::plugin::Plugin;
use super::roster::Book;
use super::set::PluginSet;
use super::wishes;
use crate::config::OnError;

/// What a generation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It judges.
    Active,
    /// It could, but is not told to.
    Idle,
    /// It was replaced, and requests that began with it go on with it.
    Retired,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Retired => "retired",
        }
    }
}

/// Returns a record for each generation, by name and then by generation; a candidate that was not let in comes last.
pub(super) fn records(book: &Book, set: &PluginSet) -> Vec<Value> {
    let is_active = |plugin: &Arc<Plugin>| set.plugins().iter().any(|other| Arc::ptr_eq(other, plugin));
    let mut records = Vec::new();
    for plugin in book.retired.iter().filter_map(std::sync::Weak::upgrade) {
        records.push(generation(&plugin, State::Retired));
    }
    for (name, entry) in &book.entries {
        if let Some(live) = &entry.live {
            let state = if is_active(&live.plugin) {
                State::Active
            } else {
                State::Idle
            };
            let mut record = generation(&live.plugin, state);
            record["warnings"] = json!(live.warnings);
            record["signer"] = json!(live.signer.map(|signer| signer.to_string()));
            record["gone"] = gone(&live.plugin);
            records.push(record);
        }
        if let Some(failure) = &entry.failure {
            records.push(json!({
                "name": name,
                "state": "failed",
                "sha256": failure.sha256,
                "error": failure.error,
            }));
        }
    }
    records.sort_by_key(|record| {
        let name = record["name"].as_str().unwrap_or_default().to_owned();
        (name, record["generation"].as_u64().unwrap_or(u64::MAX))
    });
    records
}

fn generation(plugin: &Plugin, state: State) -> Value {
    let spec = plugin.spec();
    let exports: Vec<Hook> = plugin.exports();
    let hooks: Map<String, Value> = exports
        .iter()
        .map(|hook| (hook.as_str().to_owned(), hook_record(plugin, *hook)))
        .collect();
    let errors: Map<String, Value> = plugin
        .errors()
        .into_iter()
        .map(|(kind, count)| (kind.as_str().to_owned(), count.into()))
        .collect();
    let (idle, busy, made, memory) = plugin.instances();
    let asked = &plugin.manifest().requests;
    let texts = |texts: BTreeSet<String>| texts.into_iter().collect::<Vec<_>>();
    json!({
        "name": plugin.name(),
        "version": plugin.version(),
        "description": plugin.manifest().plugin.description,
        "generation": plugin.generation(),
        "state": state.as_str(),
        "sha256": plugin.sha256(),
        "exports": exports.iter().map(|hook| hook.as_str()).collect::<Vec<_>>(),
        "imports": plugin.imports(),
        "grants": texts(wishes::granted(&spec.grant)),
        "notGranted": texts(wishes::refused(asked, &spec.grant)),
        "modes": spec.modes,
        "onError": match spec.on_error {
            OnError::Deny => "deny",
            OnError::Skip => "skip",
        },
        "hooks": hooks,
        "errors": errors,
        "instances": { "idle": idle, "busy": busy, "made": made },
        "memoryBytes": memory,
        "breaker": plugin.breaker().as_str(),
    })
}

/// Returns what the generations have done that are not in the list any more.
fn gone(plugin: &Plugin) -> Value {
    let exports = plugin.exports().into_iter();
    let hooks: Map<String, Value> = exports
        .map(|hook| (hook.as_str().to_owned(), figures(plugin.past.figures(hook))))
        .collect();
    json!({ "generations": plugin.past.generations(), "hooks": hooks })
}

fn hook_record(plugin: &Plugin, hook: Hook) -> Value {
    let subscription = plugin.subscription(hook);
    let mut record = figures(plugin.figures(hook));
    record["methods"] = json!(subscription.map(|subscription| &subscription.methods));
    record
}

fn figures(figures: HookFigures) -> Value {
    let calls = figures.calls();
    let HookFigures {
        passes,
        denials,
        changes,
        errors,
        p50,
        p99,
        ..
    } = figures;
    json!({
        "calls": calls,
        "passes": passes,
        "denials": denials,
        "changes": changes,
        "errors": errors,
        "p50Micros": microseconds(p50),
        "p99Micros": microseconds(p99),
    })
}

fn microseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}
