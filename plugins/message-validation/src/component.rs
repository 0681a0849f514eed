//! The policy as a component: what the gateway asks is handed to [`Policy`], its answers are handed back.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kit::{number, quoted};
use once_cell::race::OnceBox;

use crate::bindings::exports::portcullis::plugin::lifecycle::{Guest as Lifecycle, Info};
use crate::bindings::exports::portcullis::plugin::on_message::{CallContext, Guest as OnMessage, Verdict};
use crate::bindings::portcullis::plugin::types::{self, Direction, Edit, MessageKind};
use crate::bindings::portcullis::plugin::{log, message, schema};
use crate::message::{Circumstances, Kind, Message, Value};
use crate::policy::{Decision, Policy, Refusal};

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

impl OnMessage for Component {
    fn on_message(ctx: CallContext) -> Verdict {
        let policy = POLICY.get().expect("the gateway calls init first");
        let decision = match policy.judge(&circumstances(&ctx), &Current) {
            Ok(Decision::Pass) => types::Decision::Pass,
            Ok(Decision::Edit(changes)) => {
                let edit = |change: crate::redaction::Change| Edit {
                    pointer: change.pointer,
                    value: Some(change.json),
                };
                types::Decision::Edit(changes.into_iter().map(edit).collect())
            }
            Err(refusal) => types::Decision::Deny(denial(refusal)),
        };
        Verdict {
            decision,
            notes: Vec::new(),
        }
    }
}

fn circumstances(ctx: &CallContext) -> Circumstances<'_> {
    let is_answer = matches!(ctx.kind, MessageKind::Response | MessageKind::ErrorResponse);
    Circumstances {
        kind: match (ctx.direction, ctx.kind) {
            (Direction::ClientToServer, _) if is_answer => Kind::ClientAnswer,
            (Direction::ClientToServer, _) => Kind::FromClient,
            (Direction::ServerToClient, MessageKind::Response) => Kind::Result,
            (Direction::ServerToClient, MessageKind::ErrorResponse) => Kind::Error,
            (Direction::ServerToClient, _) => Kind::FromServer,
        },
        method: &ctx.method,
        target: ctx.target.as_deref(),
        server: ctx.server.as_deref(),
        mode: ctx.mode.as_deref(),
        size: ctx.body_size,
    }
}

fn denial(refusal: Refusal) -> types::Denial {
    let data = |pointer: String| format!(r#"{{"pointer":{}}}"#, quoted(&pointer));
    types::Denial {
        code: refusal.code,
        message: refusal.message,
        reason: refusal.reason,
        data: refusal.pointer.map(data),
    }
}

/// The message that the gateway is asking about.
struct Current;

impl Message for Current {
    fn get_many(&self, pointers: &[&str]) -> Vec<Option<Value>> {
        let values = message::get_many(pointers).into_iter();
        values.map(|value| value.map(plain)).collect()
    }

    fn json(&self, pointer: &str) -> Option<String> {
        match message::get(pointer)? {
            message::Value::Json(text) => Some(text),
            _ => None,
        }
    }

    fn text(&self) -> Result<String, String> {
        message::text()
    }

    fn validate_arguments(&self) -> Result<(), Vec<String>> {
        schema::validate_arguments()
    }
}

fn plain(value: message::Value) -> Value {
    match value {
        message::Value::Null => Value::Null,
        message::Value::Boolean(boolean) => Value::Boolean(boolean),
        message::Value::Number(text) => number(&text).map_or(Value::Composite, Value::Number),
        message::Value::Text(text) => Value::Text(text),
        message::Value::Json(_) => Value::Composite,
    }
}
