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
#[path = "../../src/plugin/trial.rs"]
mod trial;
mod wire;
