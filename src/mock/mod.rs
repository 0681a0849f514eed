//! The mock MCP server: a real stdio server, and a bad one on demand.
//!
//! With no options it is the fixture of the conformance suite for every version, 2024-11-05 to 2026-07-28, in both eras
//! on one process: tools, resources, templates, prompts, completions, logging, sampling, elicitation, and in the modern
//! era subscriptions, tasks and skills. A tool is written once: `modern` dresses what it did for the newer era. Options
//! and a second set of tools turn it into what supervision is tested against: slow, crashing, hanging, chatty,
//! garbling, deaf to SIGTERM, with descendants that stay behind.
//!
//! Requests that need no waiting are answered by the thread that reads, a whole chunk of input at a time, in one
//! write; what must wait is a script on the schedule and holds up nobody. Reading never waits for writing.
//! No asynchronous runtime stands on the way of a request: the mock also serves the benchmarks.

mod additions;
mod arguments;
mod catalogue;
mod client_requests;
mod completions;
mod content;
mod descendants;
mod eras;
mod event;
mod faults;
mod fixture_tools;
mod input;
mod input_tools;
mod locked;
mod message;
mod methods;
mod modern;
mod noise;
mod options;
mod output;
mod peer;
mod probe_tools;
mod prompts;
mod question;
mod resources;
mod schedule;
mod script;
mod server;
mod tally;
mod task_tools;
mod tasks;
mod tools;
mod work;

pub use options::{CacheScope, Eras, MockOptions};
pub use server::{MockError, serve};
