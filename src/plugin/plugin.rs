//! One generation of a plugin: a component with its manifest, its configuration and its instances.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::warn;

use super::breaker::{Admission, Breaker, BreakerState};
use super::call::{CallContext, Candidate, CatalogItem, Denial, Route, Topic};
use super::error::{ErrorKind, PluginError, Stopped};
use super::exports::Hook;
use super::instance::{Question, Word};
use super::manifest::{Manifest, Subscription};
use super::metrics::{Decided, HookFigures, Metrics, Past};
use super::pool::Pool;
use super::state::Subject;
use super::verdict::{check_denial, check_route};
use crate::config::PluginSpec;
use crate::protocol::document::Document;

/// One generation. It never changes; another configuration or component is another generation.
pub struct Plugin {
    pub(super) generation: u64,
    pub(super) sha256: String,
    pub(super) version: String,
    pub(super) manifest: Arc<Manifest>,
    pub(super) spec: Arc<PluginSpec>,
    pub(super) imports: Vec<String>,
    pub(super) pool: Pool,
    pub(super) breaker: Breaker,
    pub(super) metrics: Metrics,
    /// What the generations before have done, and this one when it is gone.
    pub(super) past: Arc<Past>,
}

/// A message under judgement, and what host functions need of its circumstances.
#[derive(Debug, Clone)]
pub struct Matter {
    /// The message.
    pub message: Arc<Document>,
    /// The input schema of the tool that is called, if it is known.
    pub input_schema: Option<Arc<str>>,
}

/// What message validation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The message as it goes on, if it was changed; or why it does not.
    pub outcome: Result<Option<Bytes>, Denial>,
    /// For later plugins.
    pub notes: Vec<(String, String)>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.spec.name)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.past.add(&self.metrics);
    }
}

impl Plugin {
    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns its number: unique in a run of the gateway.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the SHA-256 of its component, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Returns the version that its manifest says.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns its manifest.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Returns what the operator wants of it.
    pub fn spec(&self) -> &Arc<PluginSpec> {
        &self.spec
    }

    /// Returns the hooks that its component exports.
    pub fn exports(&self) -> Vec<Hook> {
        self.pool.template().exports.hooks()
    }

    /// Returns the interfaces that its component imports.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Returns the figures of a hook.
    pub fn figures(&self, hook: Hook) -> HookFigures {
        self.metrics.figures(hook)
    }

    /// Returns how many calls failed, by kind.
    pub fn errors(&self) -> Vec<(ErrorKind, u64)> {
        self.metrics.errors()
    }

    /// Returns how many instances wait, how many serve a call, how many there ever were, and the largest memory seen,
    /// in bytes.
    pub fn instances(&self) -> (usize, usize, u64, usize) {
        let pool = &self.pool;
        (pool.idle_count(), pool.busy_count(), pool.made(), pool.memory())
    }

    /// Counts a failure that shows only after the call: what the plugin decided cannot be done.
    pub(super) fn misjudged(&self, hook: Hook, problem: &str) -> PluginError {
        let mut call = Call {
            plugin: self,
            hook,
            start: Instant::now(),
            admission: Admission::default(),
            is_over: false,
        };
        call.failed(Stopped::new(ErrorKind::BadDecision, problem))
    }

    /// Returns what its breaker does.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state(Instant::now())
    }

    /// Lets instances go that were not used for long.
    pub fn shrink(&self) {
        self.pool.shrink(Instant::now());
    }

    /// Returns whether a hook is to be asked about a message: a look at the manifest and the mode, no more.
    pub fn wants(&self, hook: Hook, topic: &Topic<'_>) -> bool {
        let Some(subscription) = self.subscription(hook) else {
            return false;
        };
        let in_mode = match (&self.spec.modes, topic.mode) {
            (None, _) => true,
            (Some(modes), Some(mode)) => modes.iter().any(|its| its == mode),
            (Some(_), None) => false,
        };
        in_mode && subscription.wants(topic.method, topic.direction.into(), topic.kind.into())
    }

    /// Returns which messages a hook subscribes to; `None` for a hook that it does not have.
    pub fn subscription(&self, hook: Hook) -> Option<&Subscription> {
        let hooks = &self.manifest.hooks;
        match hook {
            Hook::OnMessage => hooks.on_message.as_ref(),
            Hook::Access => hooks.access.as_ref(),
            Hook::Routing => hooks.routing.as_ref(),
        }
    }

    /// Asks whether a message may go on.
    ///
    /// # Errors
    /// The plugin could not judge.
    pub async fn on_message(&self, ctx: &CallContext, matter: &Matter) -> Result<Judged, PluginError> {
        let mut call = self.begin(Hook::OnMessage)?;
        let word = call.ask(Question::OnMessage(ctx), matter).await?;
        let Word::Verdict(verdict) = word else {
            unreachable!("on-message answers with a verdict")
        };
        match self.judged(ctx, matter, verdict) {
            Ok(judged) => {
                let decided = match &judged.outcome {
                    Ok(None) => Decided::Pass,
                    Ok(Some(_)) => Decided::Change,
                    Err(_) => Decided::Deny,
                };
                call.decided(decided);
                Ok(judged)
            }
            Err(stopped) => Err(call.failed(stopped)),
        }
    }

    /// Asks whether the caller may do this now.
    ///
    /// # Errors
    /// The plugin could not judge.
    pub async fn authorize(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        item: Option<&CatalogItem>,
    ) -> Result<Result<(), Denial>, PluginError> {
        let mut call = self.begin(Hook::Access)?;
        let word = call.ask(Question::Authorize(ctx, item), matter).await?;
        let Word::Authorized(authorized) = word else {
            unreachable!("authorize answers with a result")
        };
        if let Err(denial) = &authorized
            && let Err(stopped) = check_denial(denial)
        {
            return Err(call.failed(stopped));
        }
        call.decided(if authorized.is_ok() {
            Decided::Pass
        } else {
            Decided::Deny
        });
        Ok(authorized)
    }

    /// Asks which of several items the caller may see: one answer for each.
    ///
    /// # Errors
    /// The plugin could not judge.
    pub async fn filter(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        items: &[CatalogItem],
    ) -> Result<Vec<bool>, PluginError> {
        let mut call = self.begin(Hook::Access)?;
        let word = call.ask(Question::Filter(ctx, items), matter).await?;
        let Word::Kept(indexes) = word else {
            unreachable!("filter answers with indexes")
        };
        let mut kept = vec![false; items.len()];
        for index in indexes {
            match kept.get_mut(index as usize) {
                Some(place) => *place = true,
                None => {
                    let text = format!("it kept item {index} of {}", items.len());
                    return Err(call.failed(Stopped::new(ErrorKind::BadDecision, text)));
                }
            }
        }
        call.decided(if kept.contains(&false) {
            Decided::Change
        } else {
            Decided::Pass
        });
        Ok(kept)
    }

    /// Asks where a request should go: places in `candidates`, best first; `None` leaves it to the gateway.
    ///
    /// # Errors
    /// The plugin could not judge.
    pub async fn choose(
        &self,
        ctx: &CallContext,
        matter: &Matter,
        candidates: &[Candidate],
    ) -> Result<Result<Option<Vec<usize>>, Denial>, PluginError> {
        let mut call = self.begin(Hook::Routing)?;
        let word = call.ask(Question::Choose(ctx, candidates), matter).await?;
        let Word::Route(route) = word else {
            unreachable!("choose answers with a route")
        };
        match route {
            Route::Default => {
                call.decided(Decided::Pass);
                Ok(Ok(None))
            }
            Route::Deny(denial) => match check_denial(&denial) {
                Ok(()) => {
                    call.decided(Decided::Deny);
                    Ok(Err(denial))
                }
                Err(stopped) => Err(call.failed(stopped)),
            },
            Route::To(indexes) => match check_route(&indexes, candidates.len()) {
                Ok(places) => {
                    call.decided(Decided::Change);
                    Ok(Ok(Some(places)))
                }
                Err(stopped) => Err(call.failed(stopped)),
            },
        }
    }

    /// Begins a call, unless the plugin is not to be asked.
    fn begin(&self, hook: Hook) -> Result<Call<'_>, PluginError> {
        let start = Instant::now();
        let Some(admission) = self.breaker.admit(start) else {
            self.metrics.failed(hook, ErrorKind::Open, Duration::ZERO);
            return Err(self.error(Stopped::new(
                ErrorKind::Open,
                "it failed too often and is left alone for a while",
            )));
        };
        Ok(Call {
            plugin: self,
            hook,
            start,
            admission,
            is_over: false,
        })
    }

    fn error(&self, stopped: Stopped) -> PluginError {
        PluginError {
            plugin: self.spec.name.clone(),
            kind: stopped.kind,
            detail: stopped.detail,
        }
    }
}

/// One call under way. Dropped before its end (its client went away), it says nothing of the plugin.
struct Call<'a> {
    plugin: &'a Plugin,
    hook: Hook,
    start: Instant,
    admission: Admission,
    is_over: bool,
}

impl Call<'_> {
    async fn ask(&mut self, question: Question<'_>, matter: &Matter) -> Result<Word, PluginError> {
        let plugin = self.plugin;
        let time = plugin.spec.limits.timeout;
        let deadline = self.start + time;
        let subject = Subject {
            message: matter.message.clone(),
            input_schema: matter.input_schema.clone(),
        };
        let asked = async {
            let mut checkout = plugin.pool.checkout(deadline).await?;
            let engine = &plugin.pool.template().engine;
            let word = checkout
                .instance()
                .ask(engine, question, subject, time, deadline)
                .await?;
            checkout.give_back(self.start);
            Ok(word)
        };
        asked.await.map_err(|stopped| self.failed(stopped))
    }

    fn decided(&mut self, decided: Decided) {
        self.is_over = true;
        let now = Instant::now();
        let time = now.duration_since(self.start);
        self.plugin.metrics.decided(self.hook, decided, time);
        self.plugin.breaker.succeeded(self.admission, now);
    }

    fn failed(&mut self, stopped: Stopped) -> PluginError {
        self.is_over = true;
        let plugin = self.plugin;
        let (kind, detail) = (stopped.kind.as_str(), &stopped.detail);
        plugin
            .metrics
            .failed(self.hook, stopped.kind, self.start.elapsed());
        warn!(
            plugin = plugin.name(),
            generation = plugin.generation,
            hook = self.hook.as_str(),
            kind,
            detail,
            "a plugin could not judge"
        );
        if !stopped.kind.is_fault() {
            plugin.breaker.unknown(self.admission);
        } else if let Some(time) = plugin.breaker.failed(self.admission, Instant::now()) {
            // What the others remember may be what is wrong.
            plugin.pool.clear();
            warn!(
                plugin = plugin.name(),
                ?time,
                "the plugin failed too often: it is left alone for a while"
            );
        }
        plugin.error(stopped)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.plugin.breaker.unknown(self.admission);
        }
    }
}
