//! `plugin bench`: what each hook of a plugin costs per call, in the host itself.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::AuthorError;
use super::trial::Trial;
use crate::config::{Isolation, PluginLimits};
use crate::plugin::call::{CallContext, Candidate, CatalogItem, Direction, MessageKind};
use crate::plugin::{Hook, Matter, Plugin, PluginError};
use crate::protocol::document::Document;

/// Measured for so long, after a tenth of it for warming up; at least [`CALLS_MIN`] calls.
const TIME: Duration = Duration::from_millis(500);
const CALLS_MIN: usize = 20;
/// Calls over which fuel is counted.
const FUEL_CALLS: u64 = 100;
/// More would not make the figures better.
const CALLS_MAX: usize = 100_000;
/// Lengths of the messages, in bytes.
const LENGTHS: [usize; 2] = [1024, 100 * 1024];
/// Items to be filtered in one call.
const ITEMS: usize = 100;

/// What one function costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// The function, such as `authorize`.
    pub function: &'static str,
    /// What it was asked about.
    pub about: String,
    /// Calls that were measured.
    pub calls: usize,
    /// Half of them took no longer.
    pub p50: Duration,
    /// All but one in a hundred took no longer.
    pub p99: Duration,
    /// Instructions of a call, about, where they were counted.
    pub fuel: Option<u64>,
}

/// What a plugin costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costs {
    /// Calls of a warm instance.
    pub warm: Vec<Cost>,
    /// The same with a new instance for each call, `init` included.
    pub fresh: Vec<Cost>,
    /// Linear memory of the largest instance, in bytes.
    pub memory: usize,
}

/// Whether instructions are counted as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuel {
    /// They are, in a run of their own.
    Counted,
    /// They are not.
    Ignored,
}

/// Measures the plugin in a folder.
///
/// # Errors
/// It cannot be loaded, or fails while it is measured.
pub async fn measure(folder: &Path, fuel: Fuel) -> Result<Costs, AuthorError> {
    let warm = trial(Isolation::Pooled, Fuel::Ignored).load(folder).await?.plugin;
    let fresh = trial(Isolation::Fresh, Fuel::Ignored).load(folder).await?.plugin;
    let counting = match fuel {
        Fuel::Counted => Some(trial(Isolation::Pooled, fuel).load(folder).await?.plugin),
        Fuel::Ignored => None,
    };
    let mut costs = Costs {
        warm: Vec::new(),
        fresh: Vec::new(),
        memory: 0,
    };
    for question in questions(&warm) {
        let mut cost = question.cost(&warm).await?;
        if let Some(plugin) = &counting {
            cost.fuel = question.fuel(plugin).await?;
        }
        costs.warm.push(cost);
        if question.length == LENGTHS[0] {
            costs.fresh.push(question.cost(&fresh).await?);
        }
    }
    costs.memory = warm.instances().3;
    Ok(costs)
}

fn trial(isolation: Isolation, fuel: Fuel) -> Trial {
    Trial {
        isolation,
        fuel: fuel == Fuel::Counted,
        limits: PluginLimits {
            // What is measured is not also to be cut off by it, and its figures are those of a warm instance.
            timeout: Duration::from_secs(2),
            calls_max: u64::MAX,
            ..PluginLimits::default()
        },
    }
}

/// Returns what is asked of a plugin: each of its functions about a short and a long message.
fn questions(plugin: &Plugin) -> Vec<Question> {
    let mut questions = Vec::new();
    let mut add = |function, about, length| questions.push(Question::new(function, about, length));
    for hook in plugin.exports() {
        for length in LENGTHS {
            let about = format!("{} KB", length / 1024);
            match hook {
                Hook::OnMessage => add("on-message", about, length),
                Hook::Access => add("authorize", about, length),
                Hook::Routing => add("choose", format!("{about}, 2 candidates"), length),
            }
        }
        if hook == Hook::Access {
            add("filter", format!("{ITEMS} items"), LENGTHS[0]);
        }
    }
    questions
}

/// A call that is made again and again.
struct Question {
    function: &'static str,
    about: String,
    length: usize,
    ctx: CallContext,
    message: Bytes,
    items: Vec<CatalogItem>,
    candidates: [Candidate; 2],
}

impl Question {
    fn new(function: &'static str, about: String, length: usize) -> Self {
        Self {
            function,
            about,
            length,
            ctx: context(length),
            message: message(length),
            items: (0..ITEMS).map(item).collect(),
            candidates: [candidate("a"), candidate("b")],
        }
    }

    /// Makes one call and returns how long it took.
    async fn ask(&self, plugin: &Plugin) -> Result<Duration, AuthorError> {
        let broken = |error: PluginError| AuthorError::Refused(error.to_string());
        // Each call has a message that nobody has looked at yet, as in the gateway.
        let matter = Matter {
            message: Arc::new(Document::new(self.message.clone())),
            input_schema: None,
        };
        let (ctx, item) = (&self.ctx, self.items.first());
        let start = Instant::now();
        match self.function {
            "on-message" => drop(plugin.on_message(ctx, &matter).await.map_err(broken)?),
            "authorize" => drop(plugin.authorize(ctx, &matter, item).await.map_err(broken)?),
            "filter" => drop(plugin.filter(ctx, &matter, &self.items).await.map_err(broken)?),
            _ => drop(
                plugin
                    .choose(ctx, &matter, &self.candidates)
                    .await
                    .map_err(broken)?,
            ),
        }
        Ok(start.elapsed())
    }

    async fn cost(&self, plugin: &Plugin) -> Result<Cost, AuthorError> {
        let mut times = Vec::new();
        let warm_up = Instant::now();
        while warm_up.elapsed() < TIME / 10 {
            self.ask(plugin).await?;
        }
        let begin = Instant::now();
        while times.len() < CALLS_MIN || (begin.elapsed() < TIME && times.len() < CALLS_MAX) {
            times.push(self.ask(plugin).await?);
        }
        times.sort_unstable();
        Ok(Cost {
            function: self.function,
            about: self.about.clone(),
            calls: times.len(),
            p50: quantile(&times, 50),
            p99: quantile(&times, 99),
            fuel: None,
        })
    }

    /// Returns the mean of some calls, after the first.
    async fn fuel(&self, plugin: &Plugin) -> Result<Option<u64>, AuthorError> {
        self.ask(plugin).await?;
        let before = plugin.fuel();
        for _ in 0..FUEL_CALLS {
            self.ask(plugin).await?;
        }
        let used = plugin
            .fuel()
            .zip(before)
            .and_then(|(after, before)| after.checked_sub(before));
        Ok(used.map(|used| used / FUEL_CALLS))
    }
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn context(length: usize) -> CallContext {
    CallContext {
        request_id: "bench-1".to_owned(),
        session: Some("8d969eef6ecad3c2".to_owned()),
        direction: Direction::ClientToServer,
        kind: MessageKind::Request,
        method: "tools/call".to_owned(),
        target: Some("tool-0".to_owned()),
        server: Some("files".to_owned()),
        mode: Some("chat".to_owned()),
        principal: None,
        protocol_version: Some("2025-11-25".to_owned()),
        body_size: u32::try_from(length).unwrap_or(u32::MAX),
        attributes: vec![("client.name".to_owned(), "bench".to_owned())],
    }
}

/// Returns a `tools/call` of a length: a short path, and a long text before it.
fn message(length: usize) -> Bytes {
    let of = |text: String| -> Value {
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "tool-0", "arguments": { "text": text, "path": "docs/a.txt" } } })
    };
    let empty = of(String::new()).to_string().len();
    of("x".repeat(length.saturating_sub(empty))).to_string().into()
}

fn item(index: usize) -> CatalogItem {
    CatalogItem {
        kind: "tool".to_owned(),
        name: format!("tool-{index}"),
        server: "files".to_owned(),
        description: Some("Does something with a file, and says what came of it.".to_owned()),
        annotations: Some(r#"{"readOnlyHint":true}"#.to_owned()),
    }
}

fn candidate(server: &str) -> Candidate {
    Candidate {
        server: server.to_owned(),
        instance: None,
        healthy: true,
        in_flight: 0,
        weight: 1,
        labels: vec![("tier".to_owned(), "stable".to_owned())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_length_that_is_said() {
        for length in LENGTHS {
            assert_eq!(message(length).len(), length);
        }
    }

    #[test]
    fn quantiles_are_of_the_calls() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(quantile(&times, 50), Duration::from_micros(100));
        assert_eq!(quantile(&times, 99), Duration::from_micros(198));
        assert_eq!(quantile(&times[..1], 99), Duration::from_micros(1));
        assert_eq!(quantile(&[], 50), Duration::ZERO);
    }
}
