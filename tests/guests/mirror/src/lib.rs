//! A policy for tests: it lets everything pass, and writes into the log what it was told of it.

use serde_json::{Map, Value, json};

mod bindings {
    include!(env!("PORTCULLIS_BINDINGS"));
}
use bindings::exports::portcullis::plugin::lifecycle::{self, Info};
use bindings::exports::portcullis::plugin::{access, on_message, routing};
use bindings::portcullis::plugin::log::{self, Level};
use bindings::portcullis::plugin::types::*;

struct Plugin;

bindings::export!(Plugin);

impl lifecycle::Guest for Plugin {
    fn describe() -> Info {
        Info {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn init(_config: String) -> Result<(), String> {
        Ok(())
    }
}

impl access::Guest for Plugin {
    fn authorize(ctx: CallContext, item: Option<CatalogItem>) -> Result<(), Denial> {
        let item = item.map(|item| json!({ "kind": item.kind, "name": item.name }));
        tell("authorize", &ctx, item.unwrap_or_default());
        Ok(())
    }

    fn filter(ctx: CallContext, items: Vec<CatalogItem>) -> Vec<u32> {
        tell("filter", &ctx, Value::Null);
        (0..).zip(&items).map(|(index, _)| index).collect()
    }
}

impl on_message::Guest for Plugin {
    fn on_message(ctx: CallContext) -> Verdict {
        tell("on-message", &ctx, Value::Null);
        Verdict {
            decision: Decision::Pass,
            notes: Vec::new(),
        }
    }
}

impl routing::Guest for Plugin {
    fn choose(ctx: CallContext, _candidates: Vec<Candidate>) -> Route {
        tell("choose", &ctx, Value::Null);
        Route::Default
    }
}

fn tell(hook: &str, ctx: &CallContext, item: Value) {
    let attributes: Map<String, Value> = ctx
        .attributes
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    let seen = json!({
        "hook": hook,
        "request": ctx.request_id,
        "method": ctx.method,
        "target": ctx.target,
        "isClients": ctx.direction == Direction::ClientToServer,
        "version": ctx.protocol_version,
        "attributes": attributes,
        "item": item,
    });
    log::write(Level::Info, &seen.to_string(), &[]);
}
