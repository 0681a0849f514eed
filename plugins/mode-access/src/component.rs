//! The policy as a component: what the gateway asks is handed to [`Policy`], its answers are handed back.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use once_cell::race::OnceBox;

use crate::bindings::exports::portcullis::plugin::access::{
    CallContext, CatalogItem, Denial, Guest as Access,
};
use crate::bindings::exports::portcullis::plugin::lifecycle::{Guest as Lifecycle, Info};
use crate::bindings::portcullis::plugin::log;
use crate::policy::{Circumstances, Item, Policy};

/// Set once, by `init`. An instance serves one call at a time and has one thread.
static POLICY: OnceBox<Policy> = OnceBox::new();

struct Component;

crate::bindings::export!(Component);
kit::last_words!(|place| log::write(log::Level::Error, place, &[]));

impl Lifecycle for Component {
    fn describe() -> Info {
        Info {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn init(config: String) -> Result<(), String> {
        let policy = Policy::new(&config)?;
        POLICY.get_or_init(|| Box::new(policy));
        Ok(())
    }
}

impl Access for Component {
    fn authorize(ctx: CallContext, item: Option<CatalogItem>) -> Result<(), Denial> {
        let refused = policy().authorize(&circumstances(&ctx), item.as_ref().map(known).as_ref());
        refused.map_err(|refusal| Denial {
            code: refusal.code,
            message: refusal.message,
            reason: refusal.reason,
            data: None,
        })
    }

    fn filter(ctx: CallContext, items: Vec<CatalogItem>) -> Vec<u32> {
        policy().filter(&circumstances(&ctx), items.iter().map(known))
    }
}

fn policy() -> &'static Policy {
    POLICY.get().expect("the gateway calls init first")
}

fn circumstances(ctx: &CallContext) -> Circumstances<'_> {
    Circumstances {
        mode: ctx.mode.as_deref(),
        method: &ctx.method,
        server: ctx.server.as_deref(),
    }
}

fn known(item: &CatalogItem) -> Item<'_> {
    Item {
        kind: &item.kind,
        name: &item.name,
        server: &item.server,
        annotations: item.annotations.as_deref(),
    }
}
