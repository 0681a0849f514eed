//! The integration tests: one binary, the real executable under test.

mod admin;
mod author;
mod bench_parts;
mod channel;
mod classic;
mod cli;
mod drain;
#[cfg(target_os = "linux")]
mod guard;
mod layers;
#[cfg(target_os = "linux")]
mod leaks;
mod mock;
mod modern;
mod modes;
mod policy;
mod readme;
mod simulation;
mod stress;
mod support;
mod suspended;
#[path = "../../src/plugin/trial/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the tests of the room use what these do not"
)]
mod trial;
mod wire;
