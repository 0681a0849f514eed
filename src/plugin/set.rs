//! All plugins that judge, in their order. A request holds the set that it began with to its end.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tracing::info;

use super::call::{CallContext, Candidate, CatalogItem, Denial};
use super::error::{ErrorKind, PluginError};
use super::exports::Hook;
use super::plugin::{Matter, Plugin};
use crate::config::OnError;
use crate::protocol::Message;
use crate::protocol::document::Document;
use crate::protocol::scan::ScanOptions;

/// The plugins that judge, in the order of the configuration.
#[derive(Debug, Default)]
pub struct PluginSet {
    plugins: Vec<Arc<Plugin>>,
}

/// The set that holds at present. Whoever asks it twice for one request may get two.
#[derive(Debug, Default)]
pub struct Plugins(ArcSwap<PluginSet>);

impl Plugins {
    /// Returns the set, for one request to keep.
    pub fn current(&self) -> Arc<PluginSet> {
        self.0.load_full()
    }

    /// Puts another set in its place, for every request that begins from now on.
    pub fn replace(&self, set: PluginSet) {
        self.0.store(Arc::new(set));
    }
}

/// Why a message does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The plugin that refused, or could not judge.
    pub plugin: String,
    /// Its generation.
    pub generation: u64,
    /// Which of the two.
    pub why: Why,
}

/// Whether a policy said no, or broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It said no.
    Denied(Denial),
    /// It broke, and its `on-error` is `deny`.
    Failed(PluginError),
}

/// A message that may go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The message as it goes on, if a plugin changed it.
    pub changed: Option<Bytes>,
    /// `note.<plugin>.<key>` and the value, of all plugins.
    pub notes: Vec<(String, String)>,
}

impl PluginSet {
    /// Returns a set of plugins, in their order.
    pub fn new(plugins: Vec<Arc<Plugin>>) -> Self {
        Self { plugins }
    }

    /// Returns the plugins.
    pub fn plugins(&self) -> &[Arc<Plugin>] {
        &self.plugins
    }

    /// Returns whether nobody is ever asked.
    pub fn is_empty(&self) -> bool {
        self.plugins.is_empty()
    }

    /// Returns whether any plugin's hook is to be asked about a message.
    pub fn wants(&self, hook: Hook, ctx: &CallContext) -> bool {
        self.asked(hook, ctx).next().is_some()
    }

    /// Returns whether any plugin decides on access.
    pub fn has_access(&self) -> bool {
        self.plugins
            .iter()
            .any(|plugin| plugin.subscription(Hook::Access).is_some())
    }

    /// Asks every plugin for access, until one refuses.
    ///
    /// # Errors
    /// One refused, or could not judge.
    pub async fn authorize(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        item: Option<&CatalogItem>,
    ) -> Result<(), Refusal> {
        for plugin in self.asked(Hook::Access, ctx) {
            match plugin.authorize(ctx, matter, item).await {
                Ok(Ok(())) => {}
                Ok(Err(denial)) => return Err(denied(plugin, ctx, denial)),
                Err(error) => failed(plugin, error)?,
            }
        }
        Ok(())
    }

    /// Asks every plugin which items may be seen. What one removes, no other brings back; where one could not judge and
    /// its `on-error` is `deny`, nothing is seen.
    pub async fn filter(&self, ctx: &CallContext, matter: &Matter, items: &[CatalogItem]) -> Vec<bool> {
        let mut kept = vec![true; items.len()];
        for plugin in self.asked(Hook::Access, ctx) {
            match plugin.filter(ctx, matter, items).await {
                Ok(its) => kept.iter_mut().zip(its).for_each(|(kept, its)| *kept &= its),
                Err(error) => {
                    if failed(plugin, error).is_err() {
                        return vec![false; items.len()];
                    }
                }
            }
        }
        kept
    }

    /// Shows a message to every plugin that validates; each sees what the ones before have made of it. `ctx` gets their
    /// notes.
    ///
    /// # Errors
    /// One refused, could not judge, or made something of the message that is none.
    pub async fn on_message(
        &self,
        ctx: &mut CallContext,
        matter: &Matter,
        options: ScanOptions,
    ) -> Result<Passed, Refusal> {
        let mut passed = Passed::default();
        let mut matter = matter.clone();
        for plugin in &self.plugins {
            if !plugin.wants(Hook::OnMessage, ctx) {
                continue;
            }
            let judged = match plugin.on_message(ctx, &matter).await {
                Ok(judged) => judged,
                Err(error) => {
                    failed(plugin, error)?;
                    continue;
                }
            };
            if let Some(changed) = judged.outcome.map_err(|denial| denied(plugin, ctx, denial))? {
                if let Err(error) = Message::parse(changed.clone(), options) {
                    failed(plugin, bad_change(plugin, &error.message))?;
                    continue;
                }
                ctx.body_size = u32::try_from(changed.len()).unwrap_or(u32::MAX);
                matter.message = Arc::new(Document::new(changed.clone()));
                passed.changed = Some(changed);
            }
            for (key, value) in judged.notes {
                let note = (format!("note.{}.{key}", plugin.name()), value);
                ctx.attributes.push(note.clone());
                passed.notes.push(note);
            }
        }
        Ok(passed)
    }

    /// Asks where a request should go: places in `candidates`, best first. Each plugin chooses among what the ones before
    /// have left.
    ///
    /// # Errors
    /// One refused, or could not judge.
    pub async fn choose(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        candidates: &[Candidate],
    ) -> Result<Vec<usize>, Refusal> {
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        for plugin in self.asked(Hook::Routing, ctx) {
            if places.len() < 2 {
                break;
            }
            let left: Vec<Candidate> = places.iter().map(|place| candidates[*place].clone()).collect();
            match plugin.choose(ctx, matter, &left).await {
                Ok(Ok(chosen)) => places = chosen.into_iter().map(|place| places[place]).collect(),
                Ok(Err(denial)) => return Err(denied(plugin, ctx, denial)),
                Err(error) => failed(plugin, error)?,
            }
        }
        Ok(places)
    }

    fn asked<'a>(&'a self, hook: Hook, ctx: &'a CallContext) -> impl Iterator<Item = &'a Arc<Plugin>> {
        self.plugins.iter().filter(move |plugin| plugin.wants(hook, ctx))
    }
}

fn denied(plugin: &Plugin, ctx: &CallContext, denial: Denial) -> Refusal {
    info!(
        plugin = plugin.name(),
        generation = plugin.generation(),
        request = ctx.request_id,
        method = ctx.method,
        target = ctx.target,
        server = ctx.server,
        mode = ctx.mode,
        code = denial.code,
        reason = denial.reason,
        "refused by policy"
    );
    Refusal {
        plugin: plugin.name().to_owned(),
        generation: plugin.generation(),
        why: Why::Denied(denial),
    }
}

/// Passes over a plugin that could not judge, if the operator wants it so.
fn failed(plugin: &Plugin, error: PluginError) -> Result<(), Refusal> {
    // A message that cannot be read without guessing is the sender's fault, and no reason to let it pass.
    if plugin.spec().on_error == OnError::Skip && error.kind != ErrorKind::Message {
        return Ok(());
    }
    Err(Refusal {
        plugin: plugin.name().to_owned(),
        generation: plugin.generation(),
        why: Why::Failed(error),
    })
}

fn bad_change(plugin: &Plugin, problem: &str) -> PluginError {
    let problem = format!("what it made of the message is none: {problem}");
    plugin.misjudged(Hook::OnMessage, &problem)
}
