//! `make bench-plugins`: what a policy costs a message, in one run: in WebAssembly, native, and behind HTTP on loopback.
//!
//! All guests are the template of their language: they look at one argument and let the call pass. The bundled policies are
//! those of `config/example.toml`. The host's own walk through a message is in a column of its own: whoever looks first has
//! it done, for all. In the end, what hostile policies cost those who have nothing to do with them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose product is its output"
)]

mod body;
mod bundled;
mod callout;
mod guest;
mod hostile;
mod idle;
mod neighbours;
mod report;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::body::Body;
use crate::bundled::Bundled;
use crate::report::{Report, WALK};
use crate::samples::Samples;

/// Measures what policies cost.
#[derive(Debug, Parser)]
struct Options {
    /// A folder of plugins, each a guest with the hook on-message.
    #[arg(long)]
    guests: Option<PathBuf>,
    /// The configuration with the bundled plugins, which have to be built.
    #[arg(long, default_value = "config/example.toml")]
    config: PathBuf,
    /// The folder of the bundled plugins.
    #[arg(long, default_value = "plugins")]
    bundled: PathBuf,
    /// The gateway beside whose hostile policies others are measured.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_portcullis"))]
    gateway: PathBuf,
    /// Rounds; each measures everything once, so that a slow minute is everybody's.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls of one thing in one round.
    #[arg(long, default_value_t = 4000)]
    calls: usize,
    /// Only this: for a profiler.
    #[arg(long)]
    only: Option<Part>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Guests,
    Bundled,
    Neighbours,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be started");
    match runtime.block_on(measure(&options)) {
        Ok(report) => {
            report.print();
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("bench-plugins: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<Report, String> {
    let mut report = Report::default();
    if options.wants(Part::Guests) {
        guests(options, &mut report).await?;
    }
    if options.wants(Part::Bundled) {
        bundled(options, &mut report).await?;
    }
    if options.wants(Part::Neighbours) {
        neighbours::measure(&options.gateway, &options.bundled, &mut report).await?;
    }
    Ok(report)
}

async fn guests(options: &Options, report: &mut Report) -> Result<(), String> {
    let host = guest::host()?;
    if !host.engine().is_pooling() {
        println!("without a pool for instances: the machine has no address space for one");
    }
    let guests = match &options.guests {
        Some(folder) => guest::all(&host, folder).await?,
        None => Vec::new(),
    };
    let callout = callout::Callout::start().map_err(|error| error.to_string())?;
    for _ in 0..options.rounds {
        for body in &Body::all() {
            if options.only.is_none() {
                let calls = (options.calls / 10).max(100);
                let answers = callout.calls(body, calls).await?;
                report.add("native code", body, body.native(options.calls));
                report.add("HTTP callout on loopback", body, answers);
            }
            for guest in &guests {
                let calls = (options.calls / guest.weight()).max(200);
                report.add(guest.name(), body, guest.calls(body, calls).await?);
            }
        }
    }
    for guest in &guests {
        report.idle(guest.name(), idle::bytes_of_one(&host, guest).await?);
    }
    Ok(())
}

async fn bundled(options: &Options, report: &mut Report) -> Result<(), String> {
    let bundled = Bundled::load(&options.config).await?;
    for _ in 0..options.rounds {
        for body in &Body::all() {
            let times = bundled.calls(body, options.calls).await?;
            report.add(WALK, body, body.walks(options.calls));
            report.add(
                "bundled chain: a call and its answer",
                body,
                times.call_and_answer,
            );
            report.add("  the call: access, validation", body, times.call);
            report.add("  routing, when a session begins", body, times.routing);
        }
    }
    Ok(())
}

/// Times something so many times.
fn timed<T>(calls: usize, mut prepare: impl FnMut() -> T, mut call: impl FnMut(T)) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..calls {
        let prepared = prepare();
        samples.time(|| call(prepared));
    }
    samples
}
