//! `portcullis plugin bench`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::output::{runtime, say};
use crate::author::bench::{Cost, Fuel, measure};

/// Measures a plugin and prints a table.
///
/// # Errors
/// The plugin cannot be loaded, or fails while it is measured.
pub(super) fn run(folder: &Path, fuel: Fuel) -> anyhow::Result<ExitCode> {
    let costs = runtime()?.block_on(measure(folder, fuel))?;
    say!(
        "{:<12} {:<34} {:>8} {:>12} {:>12}{}",
        "function",
        "about",
        "calls",
        "p50",
        "p99",
        if fuel == Fuel::Counted {
            "  instructions"
        } else {
            ""
        }
    );
    for cost in &costs.warm {
        print_row(cost, "");
    }
    for cost in &costs.fresh {
        print_row(cost, ", new instance");
    }
    say!("memory of an instance: {} KiB", costs.memory / 1024);
    Ok(ExitCode::SUCCESS)
}

fn print_row(cost: &Cost, remark: &str) {
    let about = format!("{}{remark}", cost.about);
    let (p50, p99) = (micros(cost.p50), micros(cost.p99));
    let fuel = cost.fuel.map(|fuel| format!("{fuel:>14}")).unwrap_or_default();
    say!(
        "{:<12} {about:<34} {:>8} {p50:>12} {p99:>12}{fuel}",
        cost.function,
        cost.calls
    );
}

fn micros(time: Duration) -> String {
    format!("{:.2} µs", time.as_secs_f64() * 1e6)
}
