//! The bundled policies, one after the other, as a request meets them.

use std::path::Path;
use std::time::Instant;

use portcullis::plugin::call::{Candidate, CatalogItem};
use portcullis::plugin::{Plugin, PluginHost};
use serde_json::{Value, json};

use crate::body::Body;
use crate::guest::load;
use crate::samples::Samples;

/// The three.
pub(crate) struct Bundled {
    access: Plugin,
    validation: Plugin,
    routing: Plugin,
    item: CatalogItem,
    candidates: Vec<Candidate>,
}

impl Bundled {
    /// Loads them with one mode with an allow-list, envelope rules and one pointer rule, and one weighted route; `None`
    /// where they have not been built.
    pub(crate) async fn load(host: &PluginHost, folder: &Path) -> Result<Option<Self>, String> {
        let names = ["mode-access", "message-validation", "routing-policy"];
        let is_built = |name: &&str| folder.join(name).join("plugin.wasm").exists();
        if !names.iter().all(is_built) {
            return Ok(None);
        }
        let get =
            |name: &'static str, config: Value| async move { load(host, &folder.join(name), config).await };
        let access = json!({ "modes": { "chat": {
            "allowed-servers": ["files", "search"],
            "allowed-capabilities": ["tools", "prompts"],
            "tools": { "allow": ["read", "list*"] },
        } } });
        let validation = json!({
            "max-size": 1_000_000,
            "denied-methods": ["tasks/*"],
            "require-params": true,
            "arguments": [{ "tool": "read", "pointer": "/path", "deny-pattern": "\\.\\." }],
        });
        let item = CatalogItem {
            kind: "tool".to_owned(),
            name: "read".to_owned(),
            server: "files".to_owned(),
            description: None,
            annotations: None,
        };
        let candidate = |server: &str, weight: u32| Candidate {
            server: server.to_owned(),
            instance: None,
            healthy: true,
            in_flight: 0,
            weight,
            labels: Vec::new(),
        };
        Ok(Some(Self {
            access: get(names[0], access).await?,
            validation: get(names[1], validation).await?,
            routing: get(names[2], json!({ "rules": [{ "strategy": "weighted" }] })).await?,
            item,
            candidates: vec![candidate("search-a", 9), candidate("search-b", 1)],
        }))
    }

    /// Times whole chains.
    pub(crate) async fn calls(&self, body: &Body, calls: usize, is_walked: bool) -> Result<Samples, String> {
        let ctx = body.ctx();
        let walked = body.walked();
        let mut samples = Samples::default();
        for _ in 0..calls {
            let matter = if is_walked { walked.clone() } else { body.matter() };
            let start = Instant::now();
            let authorized = self.access.authorize(&ctx, &matter, Some(&self.item)).await;
            let judged = self.validation.on_message(&ctx, &matter).await;
            let chosen = self.routing.choose(&ctx, &matter, &self.candidates).await;
            samples.push(start.elapsed());
            let denied = |denial: portcullis::plugin::call::Denial| format!("denied: {}", denial.reason);
            authorized.map_err(|error| error.to_string())?.map_err(denied)?;
            judged
                .map_err(|error| error.to_string())?
                .outcome
                .map_err(denied)?;
            chosen.map_err(|error| error.to_string())?.map_err(denied)?;
        }
        Ok(samples)
    }
}
