//! One instance of a plugin: a store and what runs in it. It serves one call at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::InstancePre;

use super::bindings::guest::{access, lifecycle, on_message, routing};
use super::call::{CallContext, Candidate, CatalogItem, Denial, Route, Verdict};
use super::engine::PluginEngine;
use super::error::{ErrorKind, Stopped, classify};
use super::exports::Exports;
use super::shared::Shared;
use super::state::{State, Subject};

/// What instances of one generation are made from.
pub(super) struct Template {
    pub(super) engine: PluginEngine,
    pub(super) pre: InstancePre<State>,
    pub(super) exports: Exports,
    pub(super) shared: Arc<Shared>,
    /// Given to `init`, as JSON text.
    pub(super) config: String,
}

/// One instance.
pub(super) struct Instance {
    store: Store<State>,
    lifecycle: lifecycle::Guest,
    on_message: Option<on_message::Guest>,
    access: Option<access::Guest>,
    routing: Option<routing::Guest>,
    /// After `init`, in bytes.
    memory_at_start: usize,
    /// Calls so far.
    calls: u64,
    /// When it was last used.
    pub(super) used: Instant,
}

/// One call of a hook: what is asked, and what it is about.
pub(super) enum Question<'a> {
    OnMessage(&'a CallContext),
    Authorize(&'a CallContext, Option<&'a CatalogItem>),
    Filter(&'a CallContext, &'a [CatalogItem]),
    Choose(&'a CallContext, &'a [Candidate]),
}

/// What a hook said.
#[derive(Debug)]
pub(super) enum Word {
    Verdict(Verdict),
    Authorized(Result<(), Denial>),
    Kept(Vec<u32>),
    Route(Route),
}

impl Template {
    /// Returns an instance on which `init` has been called.
    ///
    /// It is large, and goes from hand to hand: in a box.
    pub(super) async fn instantiate(&self) -> Result<Box<Instance>, Stopped> {
        let mut store = State::store(&self.engine, self.shared.clone());
        let time = self.shared.limits.init_timeout;
        store.data_mut().begin(None, time, Instant::now() + time);
        store.set_epoch_deadline(1);
        let _running = self.engine.ticker().run();
        let instance = self
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(|error| not_started(&error))?;
        let (lifecycle, on_message, access, routing) = self
            .exports
            .load(&mut store, &instance)
            .map_err(|problem| Stopped::new(ErrorKind::Init, problem))?;
        let answer = lifecycle.call_init(&mut store, &self.config).await;
        match answer {
            Ok(Ok(())) => {}
            Ok(Err(text)) => return Err(Stopped::new(ErrorKind::Init, format!("init refused: {text}"))),
            Err(error) => return Err(not_started(&error)),
        }
        store.data_mut().end();
        Ok(Box::new(Instance {
            memory_at_start: store.data().memory(),
            store,
            lifecycle,
            on_message,
            access,
            routing,
            calls: 0,
            used: Instant::now(),
        }))
    }
}

/// Says why there is no instance: the plugin's fault, unless the engine has no room.
fn not_started(error: &wasmtime::Error) -> Stopped {
    let stopped = classify(error);
    if stopped.kind == ErrorKind::Overload {
        return stopped;
    }
    let (kind, detail) = (stopped.kind.as_str(), stopped.detail);
    Stopped::new(
        ErrorKind::Init,
        format!("it cannot be started ({kind}): {detail}"),
    )
}

impl Instance {
    /// Returns the name and version that the component gives itself.
    pub(super) async fn describe(
        &mut self,
        engine: &PluginEngine,
        time: Duration,
    ) -> Result<lifecycle::Info, Stopped> {
        self.store.data_mut().begin(None, time, Instant::now() + time);
        self.store.set_epoch_deadline(1);
        let _running = engine.ticker().run();
        let info = self.lifecycle.call_describe(&mut self.store).await;
        // An instance that waits for its first call must not hold a place in the slow lane.
        self.store.data_mut().end();
        info.map_err(|error| classify(&error))
    }

    /// Asks: the guest may run for so long, and its host functions may wait until the deadline. After an error the
    /// instance must not be used again.
    pub(super) async fn ask(
        &mut self,
        engine: &PluginEngine,
        question: Question<'_>,
        subject: Subject,
        time: Duration,
        deadline: Instant,
    ) -> Result<Word, Stopped> {
        self.calls += 1;
        self.store.data_mut().begin(Some(subject), time, deadline);
        self.store.set_epoch_deadline(1);
        let _running = engine.ticker().run();
        let store = &mut self.store;
        let word = match (question, &self.on_message, &self.access, &self.routing) {
            (Question::OnMessage(ctx), Some(hook), _, _) => {
                hook.call_on_message(store, ctx).await.map(Word::Verdict)
            }
            (Question::Authorize(ctx, item), _, Some(hook), _) => {
                hook.call_authorize(store, ctx, item).await.map(Word::Authorized)
            }
            (Question::Filter(ctx, items), _, Some(hook), _) => {
                hook.call_filter(store, ctx, items).await.map(Word::Kept)
            }
            (Question::Choose(ctx, candidates), _, _, Some(hook)) => {
                hook.call_choose(store, ctx, candidates).await.map(Word::Route)
            }
            _ => {
                return Err(Stopped::new(
                    ErrorKind::BadDecision,
                    "it does not export this hook",
                ));
            }
        };
        let word = word.map_err(|error| classify(&error))?;
        self.store.data_mut().end();
        Ok(word)
    }

    /// Returns whether it may serve another call.
    pub(super) fn is_fresh_enough(&self) -> bool {
        let limits = &self.store.data().shared.limits;
        let grown = self.memory() - self.memory_at_start;
        self.calls < limits.calls_max && grown <= limits.memory_keep
    }

    /// Returns how much fuel it has used, where the engine counts.
    pub(super) fn fuel(&self) -> Option<u64> {
        Some(u64::MAX - self.store.get_fuel().ok()?)
    }

    /// Returns the size of its linear memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.store.data().memory()
    }
}
