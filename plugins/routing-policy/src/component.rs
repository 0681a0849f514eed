//! The policy as a component: what the gateway asks is handed to [`Policy`], its answers are handed back.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use once_cell::race::OnceBox;

use crate::bindings::exports::portcullis::plugin::lifecycle::{Guest as Lifecycle, Info};
use crate::bindings::exports::portcullis::plugin::routing::{
    CallContext, Candidate, Guest as Routing, Route,
};
use crate::bindings::portcullis::plugin::{log, types};
use crate::policy::{self, Policy};
use crate::rule;

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

impl Routing for Component {
    fn choose(ctx: CallContext, candidates: Vec<Candidate>) -> Route {
        let policy = POLICY.get().expect("the gateway calls init first");
        let known: Vec<_> = candidates.iter().map(candidate).collect();
        match policy.choose(&request(&ctx), &known) {
            policy::Route::Default => Route::Default,
            policy::Route::To(order) => Route::To(order),
            policy::Route::Nowhere(refusal) => Route::Deny(types::Denial {
                code: refusal.code,
                message: refusal.message,
                reason: refusal.reason,
                data: None,
            }),
        }
    }
}

fn request(ctx: &CallContext) -> rule::Request<'_> {
    rule::Request {
        id: &ctx.request_id,
        session: ctx.session.as_deref(),
        principal: ctx.principal.as_ref().map(|principal| principal.subject.as_str()),
        mode: ctx.mode.as_deref(),
        method: &ctx.method,
        target: ctx.target.as_deref(),
    }
}

fn candidate(candidate: &Candidate) -> rule::Candidate<'_> {
    rule::Candidate {
        server: &candidate.server,
        instance: candidate.instance.as_deref(),
        healthy: candidate.healthy,
        in_flight: candidate.in_flight,
        weight: candidate.weight,
        labels: &candidate.labels,
    }
}
