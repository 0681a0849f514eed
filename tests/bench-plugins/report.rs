//! The tables.

use crate::body::Body;
use crate::samples::Samples;

/// What has been measured: what, with which message, how long.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, &'static str, Samples)>,
    idle: Vec<(String, f64)>,
    neighbours: Vec<(String, Samples)>,
}

/// What a message costs the host before any policy: who looks first has it walked.
pub(crate) const WALK: &str = "the host's own walk";
/// What the figures should be at most: p50 in microseconds.
const GOALS: [(&str, f64); 3] = [
    ("guest in Rust", 3.0),
    ("guest in JavaScript", 15.0),
    ("bundled chain: a call and its answer", 10.0),
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

    /// Adds a stretch of a quiet session's requests.
    pub(crate) fn neighbour(&mut self, name: &str, samples: Samples) {
        match self.neighbours.iter_mut().find(|(its, _)| its == name) {
            Some((_, all)) => all.extend(samples),
            None => self.neighbours.push((name.to_owned(), samples)),
        }
    }

    /// Prints all of it.
    pub(crate) fn print(mut self) {
        for body in Body::all() {
            self.print_body(&body);
        }
        if !self.idle.is_empty() {
            println!("\n{:<44} {:>10}", "an idle instance, private memory", "KiB");
        }
        for (name, bytes) in &self.idle {
            let goal = Some(&IDLE_GOAL).filter(|(its, _)| name.starts_with(its));
            println!("  {name:<42} {:>10.1}{}", bytes / 1024.0, verdict(*bytes, goal));
        }
        self.print_neighbours();
    }

    fn print_body(&mut self, body: &Body) {
        let mut rows: Vec<_> = self
            .rows
            .iter_mut()
            .filter(|(_, its, _)| *its == body.name)
            .collect();
        let walk = rows.iter_mut().find(|(name, ..)| name == WALK);
        let walk = walk.map(|(_, _, samples)| samples.quantile(0.5));
        if !rows.is_empty() {
            println!(
                "\n{:<44} {:>10} {:>10} {:>10}",
                body.name, "p50 µs", "p99 µs", "+ walk µs"
            );
        }
        for (name, _, samples) in rows {
            let goal = GOALS.iter().find(|(its, _)| name.starts_with(its));
            let (p50, p99) = (samples.quantile(0.5), samples.quantile(0.99));
            // A service walks by itself.
            let is_walked = !name.starts_with("HTTP") && name != WALK;
            let walk = walk
                .filter(|_| is_walked)
                .map_or(String::new(), |walk| format!("{walk:.2}"));
            println!(
                "  {name:<42} {p50:>10.2} {p99:>10.2} {walk:>10}{}",
                verdict(p50, goal)
            );
        }
    }

    fn print_neighbours(&mut self) {
        // The first is beside nobody.
        let [_, (_, behaving), ..] = &mut self.neighbours[..] else {
            return;
        };
        let usual = [0.5, 0.99].map(|share| behaving.quantile(share));
        println!(
            "\n{:<44} {:>10} {:>10} {:>10} {:>10}",
            "a quiet session through the gateway, beside", "p50 µs", "p99 µs", "p50 ×", "p99 ×"
        );
        for (name, samples) in &mut self.neighbours {
            let (p50, p99) = (samples.quantile(0.5), samples.quantile(0.99));
            println!(
                "  {name:<42} {p50:>10.0} {p99:>10.0} {:>10.1} {:>10.1}",
                p50 / usual[0],
                p99 / usual[1]
            );
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
