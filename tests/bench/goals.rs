//! The cells of the benchmark, and what is expected of Portcullis in each.

use clap::ValueEnum;

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cell {
    /// 50 sessions on one shared process, small messages.
    Sessions50,
    /// One session, small messages.
    Session1,
    /// 10 sessions, 100 KB each way.
    Payload100k,
    /// 50 clients without sessions (2026-07-28) on one shared process of that era, small messages.
    Modern50,
    /// 10 of them, 100 KB each way.
    Modern100k,
}

/// A ratio that matters: the subject's figure divided by the yardstick's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ratio {
    /// Requests per second.
    Throughput,
    /// CPU time of the serving process for each request.
    CpuPerRequest,
    /// Median latency.
    P50,
}

/// What a ratio has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// As high as this.
    AtLeast(f64),
    /// As low as this.
    AtMost(f64),
}

impl Cell {
    /// Returns the number of sessions, each a connection with one request in flight.
    pub(crate) fn sessions(self) -> usize {
        match self {
            Self::Sessions50 | Self::Modern50 => 50,
            Self::Session1 => 1,
            Self::Payload100k | Self::Modern100k => 10,
        }
    }

    /// Returns the length of the text that travels each way, in bytes.
    pub(crate) fn payload(self) -> usize {
        match self {
            Self::Sessions50 | Self::Session1 | Self::Modern50 => 0,
            Self::Payload100k | Self::Modern100k => 100_000,
        }
    }

    /// Tells whether its clients speak the era without sessions.
    pub(crate) fn is_modern(self) -> bool {
        matches!(self, Self::Modern50 | Self::Modern100k)
    }

    /// Returns the name it has on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value().expect("no cell is skipped");
        value.get_name().to_owned()
    }

    /// Returns what is expected here, if anything is.
    pub(crate) fn goal(self, ratio: Ratio) -> Option<Goal> {
        match (self, ratio) {
            (Self::Sessions50, Ratio::Throughput) => Some(Goal::AtLeast(0.6)),
            (Self::Sessions50, Ratio::CpuPerRequest) => Some(Goal::AtMost(2.0)),
            (Self::Session1, Ratio::P50) => Some(Goal::AtMost(1.4)),
            (Self::Payload100k, Ratio::Throughput) => Some(Goal::AtLeast(0.8)),
            _ => None,
        }
    }
}

impl Ratio {
    /// Every ratio, in order of printing.
    pub(crate) const ALL: [Self; 3] = [Self::Throughput, Self::CpuPerRequest, Self::P50];

    /// Returns its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::CpuPerRequest => "cpu-per-request",
            Self::P50 => "p50",
        }
    }
}

impl Goal {
    /// Tells whether the ratio is good enough.
    pub(crate) fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(floor) => ratio >= floor,
            Self::AtMost(ceiling) => ratio <= ceiling,
        }
    }
}
