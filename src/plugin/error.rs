//! Why a plugin could not judge. What it decided is never an error.

use thiserror::Error;
use wasmtime::{FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The guest trapped: it panicked, recursed too deeply, or broke a rule of WebAssembly.
    Trap,
    /// It took longer than `timeout`, or `init` longer than `init-timeout`.
    Timeout,
    /// It wanted more memory than `memory-max`.
    Memory,
    /// It answered with something that cannot be done: an index that is not there, an edit that does not apply, too much.
    BadDecision,
    /// It used a host function in a way, or so often, that is not allowed.
    HostCall,
    /// All its instances were busy until the call's time was over.
    Overload,
    /// It could not be instantiated, or its `init` refused.
    Init,
    /// The message cannot be shown to a policy without guessing: an object in it holds a key twice.
    Message,
    /// It has failed so often that it is not asked for a while.
    Open,
}

impl ErrorKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Trap,
        Self::Timeout,
        Self::Memory,
        Self::BadDecision,
        Self::HostCall,
        Self::Overload,
        Self::Init,
        Self::Message,
        Self::Open,
    ];

    /// Returns the name used in the API, in the log and in `data.kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::BadDecision => "bad-decision",
            Self::HostCall => "host-call",
            Self::Overload => "overload",
            Self::Init => "init",
            Self::Message => "message",
            Self::Open => "open",
        }
    }

    /// Returns its place in [`ErrorKind::ALL`].
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Returns whether it says that the plugin is broken, rather than busy or asked about a bad message.
    pub(super) fn is_fault(self) -> bool {
        !matches!(self, Self::Overload | Self::Message | Self::Open)
    }
}

/// Why a plugin could not judge.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the plugin {plugin} could not judge ({}): {detail}", kind.as_str())]
pub struct PluginError {
    /// The plugin.
    pub plugin: String,
    /// What kind of failure it was.
    pub kind: ErrorKind,
    /// What happened, for the operator.
    pub detail: String,
}

/// Why a host function ended the call that made it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub(super) struct Stopped {
    pub(super) kind: ErrorKind,
    pub(super) detail: String,
}

impl Stopped {
    /// `detail` may hold what a guest said, as long as it likes.
    pub(super) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: cut(detail.into(), DETAIL_MAX),
        }
    }
}

/// Longest detail of an error, in bytes.
const DETAIL_MAX: usize = 1024;

/// Returns the beginning of a text for the log.
pub(super) fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(DETAIL_MAX)]
}

/// Cuts a text to so many bytes.
pub(super) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push('…');
    }
    text
}

/// Says what an error of wasmtime means.
pub(super) fn classify(error: &wasmtime::Error) -> Stopped {
    if let Some(stopped) = error.downcast_ref::<Stopped>() {
        return stopped.clone();
    }
    if let Some(full) = error.downcast_ref::<PoolConcurrencyLimitError>() {
        let text = format!("the pool of all plugins is used up: {full}");
        return Stopped::new(ErrorKind::Overload, text);
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Stopped::new(ErrorKind::Timeout, "it took too long"),
        Some(trap) => Stopped::new(ErrorKind::Trap, format!("{trap}{}", place(error))),
        // Lifting a result that breaks the rules of the component model, or is larger than `output-max`.
        None => Stopped::new(ErrorKind::BadDecision, error.root_cause().to_string()),
    }
}

/// Says in which functions a guest was, the innermost first, if its component still has their names.
fn place(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return String::new();
    };
    let names = backtrace.frames().iter().filter_map(FrameInfo::func_name);
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" in {}", names.join(", called by "))
}
