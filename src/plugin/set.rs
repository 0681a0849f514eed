//! All plugins that judge, in their order. A request holds the set that it began with to its end.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tracing::{debug, info};

use super::call::{CallContext, Candidate, CatalogItem, Denial, Topic};
use super::error::{ErrorKind, PluginError, shortened};
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

/// What a message is about, as its circumstances say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aim {
    /// The tool, prompt, resource or task.
    pub target: Option<String>,
    /// The input schema of the tool that is called, if it is known.
    pub input_schema: Option<Arc<str>>,
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
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// The message as it goes on, if a plugin changed it.
    pub changed: Option<Changed>,
    /// Whether it is about something else now.
    pub is_retargeted: bool,
    /// `note.<plugin>.<key>` and the value, of all plugins.
    pub notes: Vec<(String, String)>,
}

/// What plugins have made of a message.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The message.
    pub message: Message,
    /// Its text, to look things up in.
    pub document: Arc<Document>,
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
    pub fn wants(&self, hook: Hook, topic: &Topic<'_>) -> bool {
        self.plugins.iter().any(|plugin| plugin.wants(hook, topic))
    }

    /// Returns whether any plugin may check a message against the input schema of its tool.
    pub fn reads_schemas(&self) -> bool {
        self.plugins.iter().any(|plugin| plugin.spec().grant.schema)
    }

    /// Returns the request headers that any plugin may see, in lower case, each once.
    pub fn headers(&self) -> BTreeSet<&str> {
        let granted = self
            .plugins
            .iter()
            .flat_map(|plugin| &plugin.spec().grant.headers);
        granted.map(String::as_str).collect()
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
            match plugin.authorize(&shown_to(plugin, ctx), matter, item).await {
                Ok(Ok(())) => {}
                Ok(Err(denial)) => return Err(denied(plugin, ctx, denial)),
                Err(error) => failed(plugin, error)?,
            }
        }
        Ok(())
    }

    /// Asks every plugin which items may be seen. What one removes, no other brings back.
    ///
    /// # Errors
    /// One could not judge.
    pub async fn filter(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        items: &[CatalogItem],
    ) -> Result<Vec<bool>, Refusal> {
        let mut kept = vec![true; items.len()];
        for plugin in self.asked(Hook::Access, ctx) {
            match plugin.filter(&shown_to(plugin, ctx), matter, items).await {
                Ok(its) => kept.iter_mut().zip(its).for_each(|(kept, its)| *kept &= its),
                Err(error) => failed(plugin, error)?,
            }
        }
        Ok(kept)
    }

    /// Shows a message to every plugin that validates; each sees what the ones before have made of it. `ctx` gets their
    /// notes, and the new target where one changed what the message is about, which `aim_of` reads.
    ///
    /// # Errors
    /// One refused, could not judge, made something of the message that is none, or changed what it is about although
    /// another had done so already.
    pub async fn on_message(
        &self,
        ctx: &mut CallContext,
        matter: &Matter,
        options: ScanOptions,
        aim_of: impl Fn(&Document) -> Aim,
    ) -> Result<Passed, Refusal> {
        let mut course = Course {
            matter: matter.clone(),
            passed: Passed::default(),
            options,
            aim_of,
        };
        for plugin in &self.plugins {
            if plugin.wants(Hook::OnMessage, &Topic::of(ctx)) {
                course.ask(plugin, ctx).await?;
            }
        }
        Ok(course.passed)
    }

    /// Asks where a request should go: places in `candidates`, best first; `None` leaves it to the gateway. Each plugin
    /// chooses among what the ones before have left.
    ///
    /// # Errors
    /// One refused, or could not judge.
    pub async fn choose(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        candidates: &[Candidate],
    ) -> Result<Option<Vec<usize>>, Refusal> {
        let mut is_chosen = false;
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        for plugin in self.asked(Hook::Routing, ctx) {
            if places.len() < 2 {
                break;
            }
            let left: Vec<Candidate> = places.iter().map(|place| candidates[*place].clone()).collect();
            match plugin.choose(&shown_to(plugin, ctx), matter, &left).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(chosen))) => {
                    is_chosen = true;
                    places = chosen.into_iter().map(|place| places[place]).collect();
                }
                Ok(Err(denial)) => return Err(denied(plugin, ctx, denial)),
                Err(error) => failed(plugin, error)?,
            }
        }
        Ok(is_chosen.then_some(places))
    }

    fn asked<'a>(&'a self, hook: Hook, ctx: &'a CallContext) -> impl Iterator<Item = &'a Arc<Plugin>> {
        let topic = Topic::of(ctx);
        self.plugins
            .iter()
            .filter(move |plugin| plugin.wants(hook, &topic))
    }
}

/// Returns the context without the request headers that a plugin was not granted.
pub(super) fn shown_to<'a>(plugin: &Plugin, ctx: &'a CallContext) -> Cow<'a, CallContext> {
    let granted = &plugin.spec().grant.headers;
    let is_shown = |(key, _): &(String, String)| {
        let header = key.strip_prefix("header.");
        header.is_none_or(|name| granted.contains(name))
    };
    if ctx.attributes.iter().all(is_shown) {
        return Cow::Borrowed(ctx);
    }
    let mut ctx = ctx.clone();
    ctx.attributes.retain(is_shown);
    Cow::Owned(ctx)
}

/// A message on its way along the plugins that validate.
struct Course<F> {
    matter: Matter,
    passed: Passed,
    options: ScanOptions,
    aim_of: F,
}

impl<F: Fn(&Document) -> Aim> Course<F> {
    async fn ask(&mut self, plugin: &Plugin, ctx: &mut CallContext) -> Result<(), Refusal> {
        let judged = match plugin.on_message(&shown_to(plugin, ctx), &self.matter).await {
            Ok(judged) => judged,
            Err(error) => return failed(plugin, error),
        };
        if let Some(changed) = judged.outcome.map_err(|denial| denied(plugin, ctx, denial))?
            && let Err(problem) = self.change(ctx, changed)
        {
            return failed(plugin, bad_change(plugin, &problem));
        }
        for (key, value) in judged.notes {
            debug!(
                plugin = plugin.name(),
                generation = plugin.generation(),
                request = ctx.request_id,
                key,
                value,
                "noted by a policy"
            );
            let note = (format!("note.{}.{key}", plugin.name()), value);
            ctx.attributes.push(note.clone());
            self.passed.notes.push(note);
        }
        Ok(())
    }

    /// Goes on with what a plugin has made of the message; or says why not.
    fn change(&mut self, ctx: &mut CallContext, changed: Bytes) -> Result<(), String> {
        let message = Message::parse(changed.clone(), self.options)
            .map_err(|error| format!("what it made of the message is none: {}", error.message))?;
        let document = Arc::new(Document::new(changed));
        let aim = (self.aim_of)(&document);
        if aim.target != ctx.target {
            if self.passed.is_retargeted {
                return Err("it changed what the message is about, as another plugin had already".to_owned());
            }
            self.passed.is_retargeted = true;
            ctx.target = aim.target;
            self.matter.input_schema = aim.input_schema;
        }
        ctx.body_size = u32::try_from(document.bytes().len()).unwrap_or(u32::MAX);
        self.matter.message = document.clone();
        self.passed.changed = Some(Changed { message, document });
        Ok(())
    }
}

fn denied(plugin: &Plugin, ctx: &CallContext, denial: Denial) -> Refusal {
    info!(
        plugin = plugin.name(),
        generation = plugin.generation(),
        request = ctx.request_id,
        method = shortened(&ctx.method),
        target = ctx.target.as_deref().map(shortened),
        server = ctx.server,
        mode = ctx.mode,
        code = denial.code,
        reason = shortened(&denial.reason),
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
    plugin.misjudged(Hook::OnMessage, problem)
}
