//! `make bench-plugins`: what a policy costs a message, in one run: in WebAssembly, native, and behind HTTP on loopback.
//!
//! All guests are the template of their language: they look at one argument and let the call pass. The host's own first
//! walk through a message is in a column of its own, because all plugins share it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose product is its output"
)]

mod body;
mod bundled;
mod callout;
mod guest;
mod idle;
mod report;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::body::Body;
use crate::report::Report;
use crate::samples::Samples;

/// Measures what policies cost.
#[derive(Debug, Parser)]
struct Options {
    /// A folder of plugins, each a guest with the hook on-message.
    #[arg(long)]
    guests: Option<PathBuf>,
    /// The folder of the bundled plugins.
    #[arg(long, default_value = "plugins")]
    bundled: PathBuf,
    /// Rounds; each measures everything once, so that a slow minute is everybody's.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Calls of one thing in one round.
    #[arg(long, default_value_t = 4000)]
    calls: usize,
    /// Only guests and the bundled plugins: for a profiler.
    #[arg(long)]
    only_guests: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
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
    let host = guest::host()?;
    if !host.engine().is_pooling() {
        println!("without a pool for instances: the machine has no address space for one");
    }
    let guests = match &options.guests {
        Some(folder) => guest::all(&host, folder).await?,
        None => Vec::new(),
    };
    let bundled = bundled::Bundled::load(&host, &options.bundled).await?;
    let callout = callout::Callout::start().map_err(|error| error.to_string())?;
    let bodies = Body::all();
    let mut report = Report::default();
    for _ in 0..options.rounds {
        for body in &bodies {
            if !options.only_guests {
                report.add("the host's first walk", body, body.walks(options.calls));
                report.add("native code, message walked", body, body.native(options.calls));
                let calls = (options.calls / 10).max(100);
                report.add(
                    "HTTP callout on loopback",
                    body,
                    callout.calls(body, calls).await?,
                );
            }
            for guest in &guests {
                let calls = (options.calls / guest.weight()).max(200);
                report.add(guest.name(), body, guest.calls(body, calls).await?);
            }
            if let Some(bundled) = &bundled {
                report.add(
                    "bundled chain, message walked",
                    body,
                    bundled.calls(body, options.calls, true).await?,
                );
                report.add(
                    "bundled chain, with the walk",
                    body,
                    bundled.calls(body, options.calls, false).await?,
                );
            }
        }
    }
    for guest in &guests {
        report.idle(guest.name(), idle::bytes_of_one(&host, guest).await?);
    }
    Ok(report)
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
