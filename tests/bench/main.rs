//! `make bench`: Portcullis beside the leanest bridge one could write, in one interleaved run.
//!
//! Figures of one program on one machine say little; the ratio of two programs that share the machine, the
//! load, the child and the minute says how much the gateway costs. The yardstick (`yardstick.rs`) does what
//! any bridge from HTTP to a pipe must do and nothing else. Every answer is checked, on both sides.
//!
//! One executable plays every part: without an argument it measures, with `--child` it is the server behind
//! both sides, with `--yardstick` it is the bare bridge.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose product is its output"
)]

mod child;
mod compare;
mod goals;
mod histogram;
mod load;
mod message;
mod options;
mod procfs;
mod report;
mod session;
mod side;
mod yardstick;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::options::{Options, Part};

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.part() {
        Part::Child => child::run().map(|()| ExitCode::SUCCESS),
        Part::Yardstick => yardstick::run().map(|()| ExitCode::SUCCESS),
        Part::Measure => measure(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::FAILURE
    })
}

/// Runs the cells and prints the table; fails when a single answer was wrong, whatever the figures are.
fn measure(options: &Options) -> io::Result<ExitCode> {
    let comparisons = compare::run(options)?;
    report::print(&comparisons);
    if let Some(file) = &options.json {
        report::write_json(file, &comparisons)?;
    }
    let wrong = comparisons.iter().any(|comparison| comparison.errors() > 0);
    Ok(if wrong {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
