//! The table.

use crate::body::Body;
use crate::samples::Samples;

/// What has been measured: what, with which message, how long.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, &'static str, Samples)>,
    idle: Vec<(String, f64)>,
}

/// What the figures should be at most: p50 in microseconds.
const GOALS: [(&str, f64); 3] = [
    ("guest in Rust", 3.0),
    ("guest in JavaScript", 15.0),
    ("bundled chain, message walked", 10.0),
];
/// What an idle instance should need at most, in bytes.
const IDLE_GOAL: (&str, f64) = ("guest in Rust", 65536.0);

impl Report {
    /// Adds a round of something.
    pub(crate) fn add(&mut self, name: &str, body: &Body, samples: Samples) {
        let known = self
            .rows
            .iter_mut()
            .find(|(its, its_body, _)| its == name && *its_body == body.name);
        match known {
            Some((_, _, all)) => all.extend(samples),
            None => self.rows.push((name.to_owned(), body.name, samples)),
        }
    }

    /// Adds what an idle instance needs, in bytes.
    pub(crate) fn idle(&mut self, name: &str, bytes: f64) {
        self.idle.push((name.to_owned(), bytes));
    }

    /// Prints all of it.
    pub(crate) fn print(mut self) {
        self.rows
            .sort_by_key(|(_, body, _)| Body::all().iter().position(|its| its.name == *body));
        let mut last = "";
        for (name, body, samples) in &mut self.rows {
            if *body != last {
                println!("\n{body:<44} {:>10} {:>10}", "p50 µs", "p99 µs");
                last = body;
            }
            let p50 = samples.quantile(0.5);
            let goal = GOALS.iter().find(|(its, _)| name.starts_with(its));
            println!(
                "  {name:<42} {p50:>10.2} {:>10.2}{}",
                samples.quantile(0.99),
                verdict(p50, goal)
            );
        }
        if !self.idle.is_empty() {
            println!("\n{:<44} {:>10}", "an idle instance, private memory", "KiB");
        }
        for (name, bytes) in &self.idle {
            let goal = Some(&IDLE_GOAL).filter(|(its, _)| name.starts_with(its));
            println!("  {name:<42} {:>10.1}{}", bytes / 1024.0, verdict(*bytes, goal));
        }
    }
}

fn verdict(figure: f64, goal: Option<&(&str, f64)>) -> String {
    match goal {
        None => String::new(),
        Some((_, most)) if figure <= *most => "  (as wanted)".to_owned(),
        Some((_, most)) => format!("  (wanted: {most})"),
    }
}
