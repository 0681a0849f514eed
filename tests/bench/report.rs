//! What the benchmark says: a table for people, JSON for machines.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::compare::{Comparison, Pair, figure, median};
use crate::goals::{Goal, Ratio};
use crate::load::Outcome;

/// Prints each cell: both sides' medians, the ratios, and whether the goals are met.
pub(crate) fn print(comparisons: &[Comparison]) {
    for comparison in comparisons {
        let cell = comparison.cell;
        println!(
            "\n{}: {} sessions, {} bytes each way",
            cell.name(),
            cell.sessions(),
            cell.payload()
        );
        println!(
            "  {:<10} {:>10} {:>9} {:>9} {:>12} {:>13}",
            "", "requests/s", "p50 µs", "p99 µs", "CPU µs/req", "children µs"
        );
        print_side("yardstick", comparison, |pair| &pair.yardstick);
        print_side("subject", comparison, |pair| &pair.subject);
        for ratio in Ratio::ALL {
            println!("  {}", verdict(comparison, ratio));
        }
        print_errors(comparison);
    }
}

fn print_side(name: &str, comparison: &Comparison, side: fn(&Pair) -> &Outcome) {
    let middle = |read: fn(&Outcome) -> f64| median(comparison.pairs.iter().map(|pair| read(side(pair))));
    println!(
        "  {name:<10} {:>10.0} {:>9.1} {:>9.1} {:>12.2} {:>13.2}",
        middle(Outcome::throughput),
        middle(|outcome| microseconds(outcome, 0.5)),
        middle(|outcome| microseconds(outcome, 0.99)),
        middle(Outcome::cpu_per_request),
        middle(children_per_request),
    );
}

fn verdict(comparison: &Comparison, ratio: Ratio) -> String {
    let value = comparison.ratio(ratio);
    let goal = match comparison.cell.goal(ratio) {
        None => String::new(),
        Some(goal) => format!(
            "   {} {}",
            goal_text(goal),
            if goal.is_met(value) { "met" } else { "MISSED" }
        ),
    };
    format!("{:<16} ratio {value:>6.3}{goal}", ratio.name())
}

fn goal_text(goal: Goal) -> String {
    match goal {
        Goal::AtLeast(floor) => format!("goal >= {floor}"),
        Goal::AtMost(ceiling) => format!("goal <= {ceiling}"),
    }
}

fn print_errors(comparison: &Comparison) {
    let outcomes = comparison
        .pairs
        .iter()
        .flat_map(|pair| [("yardstick", &pair.yardstick), ("subject", &pair.subject)]);
    for (side, outcome) in outcomes.filter(|(_, outcome)| outcome.errors > 0) {
        let first = outcome.first_error.as_deref().unwrap_or_default();
        println!("  {side}: {} WRONG ANSWERS, the first: {first}", outcome.errors);
    }
}

/// Writes every run, every ratio and every goal.
pub(crate) fn write_json(file: &Path, comparisons: &[Comparison]) -> io::Result<()> {
    let cells: Vec<Value> = comparisons.iter().map(cell_json).collect();
    std::fs::write(file, format!("{:#}\n", json!({ "cells": cells })))
}

fn cell_json(comparison: &Comparison) -> Value {
    let cell = comparison.cell;
    let ratios: serde_json::Map<String, Value> = Ratio::ALL
        .into_iter()
        .map(|ratio| (ratio.name().to_owned(), ratio_json(comparison, ratio)))
        .collect();
    let pairs = comparison.pairs.iter();
    let pairs: Vec<Value> = pairs
        .map(|pair| json!({ "yardstick": outcome_json(&pair.yardstick), "subject": outcome_json(&pair.subject) }))
        .collect();
    json!({
        "cell": cell.name(),
        "sessions": cell.sessions(),
        "payload-bytes": cell.payload(),
        "ratios": ratios,
        "pairs": pairs,
    })
}

fn ratio_json(comparison: &Comparison, ratio: Ratio) -> Value {
    let value = comparison.ratio(ratio);
    let of_pairs: Vec<f64> = comparison
        .pairs
        .iter()
        .map(|pair| figure(&pair.subject, ratio) / figure(&pair.yardstick, ratio))
        .collect();
    match comparison.cell.goal(ratio) {
        None => json!({ "median": value, "pairs": of_pairs }),
        Some(goal) => {
            json!({ "median": value, "pairs": of_pairs, "goal": goal_text(goal), "met": goal.is_met(value) })
        }
    }
}

fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "requests": outcome.latencies.count(),
        "seconds": outcome.elapsed.as_secs_f64(),
        "requests-per-second": outcome.throughput(),
        "p50-us": microseconds(outcome, 0.5),
        "p99-us": microseconds(outcome, 0.99),
        "cpu-us-per-request": outcome.cpu_per_request(),
        "children-cpu-us-per-request": children_per_request(outcome),
        "errors": outcome.errors,
        "first-error": outcome.first_error,
    })
}

fn microseconds(outcome: &Outcome, share: f64) -> f64 {
    outcome.latencies.quantile(share).as_secs_f64() * 1e6
}

fn children_per_request(outcome: &Outcome) -> f64 {
    outcome.cpu.descendants.as_secs_f64() * 1e6 / outcome.latencies.count().max(1) as f64
}
