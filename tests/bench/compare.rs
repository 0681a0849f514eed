//! The interleaved runs: yardstick, subject, yardstick, subject, so that both see the same minutes.

use std::io;

use crate::goals::{Cell, Ratio};
use crate::load::{self, Outcome};
use crate::options::{Options, Subject};
use crate::side::Side;

/// All pairs of one cell.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) cell: Cell,
    pub(crate) pairs: Vec<Pair>,
}

/// Two runs that followed each other.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) yardstick: Outcome,
    pub(crate) subject: Outcome,
}

impl Comparison {
    /// Returns the median over the pairs of the subject's figure divided by the yardstick's.
    pub(crate) fn ratio(&self, ratio: Ratio) -> f64 {
        median(
            self.pairs
                .iter()
                .map(|pair| figure(&pair.subject, ratio) / figure(&pair.yardstick, ratio)),
        )
    }

    /// Returns the wrong answers of both sides.
    pub(crate) fn errors(&self) -> u64 {
        self.pairs
            .iter()
            .map(|pair| pair.subject.errors + pair.yardstick.errors)
            .sum()
    }
}

/// Starts both sides and measures the cells asked for.
pub(crate) fn run(options: &Options) -> io::Result<Vec<Comparison>> {
    let yardstick = Side::yardstick()?;
    let subject = match options.subject {
        Subject::Portcullis => Side::portcullis(&options.gateway)?,
        Subject::Yardstick => Side::yardstick()?,
    };
    if options.profile_hint {
        hint(options, &subject);
    }
    // One thread: on a small machine every thread of the load is taken from what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(options, &yardstick, &subject))
}

async fn measure(options: &Options, yardstick: &Side, subject: &Side) -> io::Result<Vec<Comparison>> {
    let mut comparisons = Vec::new();
    for cell in options.cells() {
        let mut pairs = Vec::new();
        for round in 1..=options.rounds {
            let yardstick = load::run(yardstick, cell, options.warm_up(), options.window()).await?;
            let subject = load::run(subject, cell, options.warm_up(), options.window()).await?;
            let (theirs, ours) = (yardstick.throughput(), subject.throughput());
            eprintln!(
                "{} {round}/{}: yardstick {theirs:.0}/s, subject {ours:.0}/s",
                cell.name(),
                options.rounds
            );
            pairs.push(Pair { yardstick, subject });
        }
        comparisons.push(Comparison { cell, pairs });
    }
    Ok(comparisons)
}

fn hint(options: &Options, subject: &Side) {
    let pid = subject.pid();
    println!("profile of the subject (pid {pid}), while a cell is measured:");
    println!(
        "  perf record -F 997 --call-graph fp -p {pid} -- sleep {:.0} && perf report",
        options.seconds
    );
    println!(
        "  perf stat -e context-switches,task-clock -p {pid} -- sleep {:.0}",
        options.seconds
    );
    println!("  strace -c -f -p {pid}   (system calls for each request: divide by the requests of the run)");
    println!("frame pointers: RUSTFLAGS=\"-C force-frame-pointers=yes\" cargo bench --profile release\n");
}

/// Returns the figure that a ratio divides.
pub(crate) fn figure(outcome: &Outcome, ratio: Ratio) -> f64 {
    match ratio {
        Ratio::Throughput => outcome.throughput(),
        Ratio::CpuPerRequest => outcome.cpu_per_request(),
        Ratio::P50 => outcome.latencies.quantile(0.5).as_secs_f64() * 1e6,
    }
}

/// Returns the middle value, or the mean of the two in the middle; not a number when there is none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(&low), Some(&high)) = (
        sorted.get((sorted.len().max(1) - 1) / 2),
        sorted.get(sorted.len() / 2),
    ) else {
        return f64::NAN;
    };
    f64::midpoint(low, high)
}
