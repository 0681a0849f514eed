//! `plugin bench`: what each hook of a plugin costs per call, in the host itself.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::error::AuthorError;
use super::trial::{self, TrialOptions};
use crate::config::{Isolation, PluginLimits};
use crate::plugin::call::{CallContext, Candidate, CatalogItem, Direction, MessageKind};
use crate::plugin::{Hook, Matter, Plugin, PluginEngine, PluginError};
use crate::protocol::document::Document;

/// Measured for so long, after a tenth of it for warming up; at least [`CALLS_MIN`] calls.
const TIME: Duration = Duration::from_millis(500);
const CALLS_MIN: usize = 20;
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

/// Measures the plugin in a folder.
///
/// # Errors
/// It cannot be loaded, or fails while it is measured.
pub async fn measure(folder: &Path) -> Result<Costs, AuthorError> {
    let warm = load(folder, Isolation::Pooled).await?;
    let fresh = load(folder, Isolation::Fresh).await?;
    Ok(Costs {
        warm: costs(&warm, &LENGTHS).await?,
        fresh: costs(&fresh, &LENGTHS[..1]).await?,
        memory: warm.instances().3,
    })
}

async fn load(folder: &Path, isolation: Isolation) -> Result<Plugin, AuthorError> {
    let engine = PluginEngine::new().map_err(|error| AuthorError::Refused(error.to_string()))?;
    let options = TrialOptions {
        isolation,
        limits: PluginLimits {
            // What is measured is not also to be cut off by it, and its figures are those of a warm instance.
            timeout: Duration::from_secs(2),
            calls_max: u64::MAX,
            ..PluginLimits::default()
        },
    };
    trial::load(folder, engine, options).await
}

async fn costs(plugin: &Plugin, lengths: &[usize]) -> Result<Vec<Cost>, AuthorError> {
    let mut costs = Vec::new();
    for hook in Hook::ALL
        .into_iter()
        .filter(|hook| plugin.exports().contains(hook))
    {
        for length in lengths {
            let about = format!("{} KB", length / 1024);
            let cost = match hook {
                Hook::OnMessage => cost_of(plugin, "on-message", about, *length).await?,
                Hook::Access => cost_of(plugin, "authorize", about, *length).await?,
                Hook::Routing => cost_of(plugin, "choose", format!("{about}, 2 candidates"), *length).await?,
            };
            costs.push(cost);
        }
        if hook == Hook::Access {
            costs.push(cost_of(plugin, "filter", format!("{ITEMS} items"), LENGTHS[0]).await?);
        }
    }
    Ok(costs)
}

/// Calls a function again and again.
async fn cost_of(
    plugin: &Plugin,
    function: &'static str,
    about: String,
    length: usize,
) -> Result<Cost, AuthorError> {
    let ctx = context(length);
    let message = message(length);
    let items: Vec<CatalogItem> = (0..ITEMS).map(item).collect();
    let candidates = [candidate("a"), candidate("b")];
    let broken = |error: PluginError| AuthorError::Refused(error.to_string());
    let mut times = Vec::new();
    let begin = Instant::now();
    let mut warm_at = None;
    while times.len() < CALLS_MIN || (begin.elapsed() < TIME && times.len() < CALLS_MAX) {
        // Each call has a message that nobody has looked at yet, as in the gateway.
        let matter = Matter {
            message: Arc::new(Document::new(message.clone())),
            input_schema: None,
        };
        let start = Instant::now();
        match function {
            "on-message" => drop(plugin.on_message(&ctx, &matter).await.map_err(broken)?),
            "authorize" => drop(
                plugin
                    .authorize(&ctx, &matter, items.first())
                    .await
                    .map_err(broken)?,
            ),
            "filter" => drop(plugin.filter(&ctx, &matter, &items).await.map_err(broken)?),
            _ => drop(plugin.choose(&ctx, &matter, &candidates).await.map_err(broken)?),
        }
        let time = start.elapsed();
        if warm_at.is_none() && begin.elapsed() >= TIME / 10 {
            warm_at = Some(times.len());
        }
        times.push(time);
    }
    let mut times = times.split_off(warm_at.unwrap_or(0));
    times.sort_unstable();
    Ok(Cost {
        function,
        about,
        calls: times.len(),
        p50: quantile(&times, 50),
        p99: quantile(&times, 99),
    })
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
fn message(length: usize) -> bytes::Bytes {
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
