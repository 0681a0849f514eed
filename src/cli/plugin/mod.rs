//! `portcullis plugin`: what an author of plugins needs, in the one binary.
//!
//! Results go to standard output, progress to standard error. The commands exit with 0 if it was done and 1 if not.

mod bench;
mod build;
mod dev;
mod doctor;
mod inspect;
mod new;
mod output;
mod signing;
mod test;
mod verbs;

pub use verbs::{PluginVerb, run};
