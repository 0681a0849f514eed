//! The command line of the benchmark.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::goals::Cell;

/// Measures Portcullis against a bare bridge from HTTP to a pipe, interleaved, every answer checked.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Options {
    /// Pairs of runs in each cell
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,

    /// Seconds that each run is measured, after its warm-up
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Seconds of load before the measured window of each run
    #[arg(long, default_value_t = 0.5, value_parser = seconds)]
    pub(crate) warm_up: f64,

    /// Only this cell (may be repeated)
    #[arg(long, value_enum)]
    pub(crate) only: Vec<Cell>,

    /// What is measured against the yardstick; the yardstick itself checks the bench: ratios of about 1
    #[arg(long, value_enum, default_value_t = Subject::Portcullis)]
    pub(crate) subject: Subject,

    /// The gateway's executable
    #[arg(long, default_value = env!("CARGO_BIN_EXE_portcullis"))]
    pub(crate) gateway: PathBuf,

    /// Writes every run and every ratio to this file as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,

    /// Prints how to record a profile of the subject while it is being measured
    #[arg(long)]
    pub(crate) profile_hint: bool,

    /// Plays the MCP server behind both sides, on stdin and stdout
    #[arg(long, hide = true)]
    child: bool,

    /// Plays the bare bridge
    #[arg(long, hide = true, conflicts_with = "child")]
    yardstick: bool,

    /// Given by `cargo bench` to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The side that is compared with the yardstick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// The gateway.
    Portcullis,
    /// A second yardstick: what the ratios look like when nothing differs.
    Yardstick,
}

/// Which of its parts the executable plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Starts both sides and measures.
    Measure,
    /// The MCP server behind both.
    Child,
    /// The bare bridge.
    Yardstick,
}

impl Options {
    /// Returns the part to play.
    pub(crate) fn part(&self) -> Part {
        match (self.child, self.yardstick) {
            (true, _) => Part::Child,
            (_, true) => Part::Yardstick,
            _ => Part::Measure,
        }
    }

    /// Returns the cells to measure, in their order of printing.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let every = Cell::value_variants().iter().copied();
        every
            .filter(|cell| self.only.is_empty() || self.only.contains(cell))
            .collect()
    }

    /// Returns the load before each window.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up)
    }

    /// Returns the length of each window.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.05..=3600.0).contains(&value) => Ok(value),
        _ => Err("expected seconds between 0.05 and 3600".to_owned()),
    }
}
