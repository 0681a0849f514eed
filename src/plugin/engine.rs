//! The engine: compiles components, and interrupts guests that take too long.

use std::num::NonZeroUsize;
use std::sync::Arc;

use thiserror::Error;
use tracing::warn;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::bindings::host;
use super::lane::SlowLane;
use super::state::{CORE_INSTANCES_MAX, MEMORIES_MAX, State, TABLE_MAX, TABLES_MAX};
use super::ticker::Ticker;

/// Instances of all plugins at once, in the pool.
const INSTANCES: u32 = 256;
/// Of these, per instance on average: a component of Python is 38 core instances, one of JavaScript a handful.
const CORE_INSTANCES: u32 = 16;
const MEMORIES: u32 = 2;
const TABLES: u32 = 4;
/// The most that `memory-max` of a plugin can be, in bytes.
pub const MEMORY_MAX: usize = 4 << 30;
/// Deepest stack of a guest, in bytes.
const STACK_MAX: usize = 512 << 10;

/// Compiles and links components. Cheap to clone.
#[derive(Clone)]
pub struct PluginEngine {
    engine: Engine,
    linker: Arc<Linker<State>>,
    ticker: Arc<Ticker>,
    lane: Arc<SlowLane>,
    is_pooling: bool,
}

/// Why there is no engine, or no component.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The machine cannot run compiled WebAssembly.
    #[error("no WebAssembly engine on this machine: {0}")]
    Engine(String),
    /// The bytes are no component that could run here.
    #[error("plugin.wasm: {0}")]
    Component(String),
    /// The component wants something that no plugin gets.
    #[error("{0}")]
    Import(String),
}

impl std::fmt::Debug for PluginEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginEngine")
            .field("is_pooling", &self.is_pooling)
            .finish_non_exhaustive()
    }
}

impl PluginEngine {
    /// Returns an engine. Instances come from a pool, unless the machine has no address space for one.
    ///
    /// # Errors
    /// The machine cannot run compiled WebAssembly.
    pub fn new() -> Result<Self, EngineError> {
        Self::pooled(pool(INSTANCES))
    }

    /// Returns an engine with another pool, or without, where the machine does not give as much.
    pub(super) fn pooled(pool: PoolingAllocationConfig) -> Result<Self, EngineError> {
        let pooling = InstanceAllocationStrategy::Pooling(pool);
        // All address space is reserved here: this is the probe.
        match Engine::new(&config(Some(pooling), false)) {
            Ok(engine) => Self::of(engine, true),
            Err(error) => {
                warn!(%error, "no pool for the instances of plugins: they are allocated one by one, which is slower");
                Self::of(engine_error(Engine::new(&config(None, false)))?, false)
            }
        }
    }

    /// Returns an engine that counts fuel: for measuring, not for serving.
    ///
    /// # Errors
    /// The machine cannot run compiled WebAssembly.
    pub fn with_fuel() -> Result<Self, EngineError> {
        let engine = engine_error(Engine::new(&config(None, true)))?;
        Self::of(engine, false)
    }

    fn of(engine: Engine, is_pooling: bool) -> Result<Self, EngineError> {
        let linker = engine_error(linker(&engine))?;
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self {
            ticker: Ticker::start(engine.clone()),
            lane: SlowLane::new(processors),
            engine,
            linker: Arc::new(linker),
            is_pooling,
        })
    }

    /// Returns whether instances come from a pool.
    pub fn is_pooling(&self) -> bool {
        self.is_pooling
    }

    /// Compiles a component to machine code that [`PluginEngine::load`] takes, also in another run of this very program.
    /// Takes seconds for large components: not for a thread of the runtime.
    ///
    /// # Errors
    /// The bytes are no component, or one that needs what this engine does not have.
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, EngineError> {
        component_error(self.engine.precompile_component(wasm))
    }

    /// Returns what the cache of compiled code depends on besides the component.
    pub fn compatibility(&self) -> impl std::hash::Hash + '_ {
        self.engine.precompile_compatibility_hash()
    }

    /// Loads what [`PluginEngine::compile`] made.
    ///
    /// # Safety
    /// The bytes must be what `compile` returned: they run as machine code.
    ///
    /// # Errors
    /// Another version of this program made them.
    #[expect(unsafe_code, reason = "compiled code is trusted as the program is")]
    pub unsafe fn load(&self, compiled: &[u8]) -> Result<Component, EngineError> {
        // SAFETY: the caller vouches for the bytes.
        component_error(unsafe { Component::deserialize(&self.engine, compiled) })
    }

    /// Compiles and loads at once.
    ///
    /// # Errors
    /// As [`PluginEngine::compile`].
    pub fn component(&self, wasm: &[u8]) -> Result<Component, EngineError> {
        component_error(Component::from_binary(&self.engine, wasm))
    }

    /// Connects a component with the host's functions.
    ///
    /// # Errors
    /// It imports something that the host does not have.
    pub(super) fn link(&self, component: &Component) -> Result<InstancePre<State>, EngineError> {
        self.linker
            .instantiate_pre(component)
            .map_err(|error| EngineError::Import(format!("{error:#}")))
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn ticker(&self) -> &Arc<Ticker> {
        &self.ticker
    }

    pub(super) fn lane(&self) -> &Arc<SlowLane> {
        &self.lane
    }
}

fn engine_error<T>(result: wasmtime::Result<T>) -> Result<T, EngineError> {
    result.map_err(|error| EngineError::Engine(format!("{error:#}")))
}

fn component_error<T>(result: wasmtime::Result<T>) -> Result<T, EngineError> {
    result.map_err(|error| EngineError::Component(format!("{error:#}")))
}

fn config(allocation: Option<InstanceAllocationStrategy>, fuel: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.consume_fuel(fuel);
    // Hooks are short and need no async of the component model: what is off cannot be attacked.
    config.concurrency_support(false);
    config.max_wasm_stack(STACK_MAX);
    config.async_stack_size(STACK_MAX + (512 << 10));
    config.wasm_backtrace_max_frames(NonZeroUsize::new(8));
    if let Some(allocation) = allocation {
        config.allocation_strategy(allocation);
    }
    config
}

/// Returns a pool for so many instances.
pub(super) fn pool(instances: u32) -> PoolingAllocationConfig {
    let per_component = |most: usize| u32::try_from(most).expect("a small number");
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES)
        .max_core_instances_per_component(per_component(CORE_INSTANCES_MAX))
        .total_memories(instances * MEMORIES)
        .max_memories_per_component(per_component(MEMORIES_MAX))
        .max_memories_per_module(per_component(MEMORIES_MAX))
        .total_tables(instances * TABLES)
        .max_tables_per_component(per_component(TABLES_MAX))
        .max_tables_per_module(4)
        .table_elements(TABLE_MAX)
        .total_stacks(instances)
        .max_memory_size(MEMORY_MAX)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(8 << 10);
    pool
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    type Data = HasSelf<State>;
    let mut linker = Linker::new(engine);
    host::types::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::message::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::log::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::clock::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::random::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::kv::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::http::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    host::schema::add_to_linker::<_, Data>(&mut linker, |state| state)?;
    Ok(linker)
}
