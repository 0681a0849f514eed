//! Policies as WASM components: the only room that knows wasmtime.

mod bindings;
