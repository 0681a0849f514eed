//! Which era a request is answered in: its own, as far as the options allow.

use std::sync::Arc;

use serde::Deserialize;

use super::message::parse;
use super::options::Eras;
use super::script::Outcome;
use super::server::Server;
use super::{methods, modern};
use crate::protocol::Message;
use crate::protocol::modern::RequestMeta;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;

/// Decides what becomes of a request.
pub(crate) fn handle(server: &Arc<Server>, message: &Message) -> Outcome {
    server.tally.count(&message.method());
    if server
        .options
        .unknown
        .iter()
        .any(|unknown| *unknown == message.method())
    {
        let text = format!("Method not found: {}", message.method());
        return Outcome::Error(ErrorObject::new(code::METHOD_NOT_FOUND, text));
    }
    match server.options.era {
        Eras::Legacy => methods::handle(server, message),
        Eras::Both if !is_modern(message) => methods::handle(server, message),
        Eras::Modern if message.method() == method::INITIALIZE && !RequestMeta::is_claimed(message) => {
            refuse_handshake(message)
        }
        Eras::Both | Eras::Modern => modern::handle(server, message),
    }
}

/// The handshake era has no such methods: whoever calls them means the other one, whatever else is missing.
fn is_modern(message: &Message) -> bool {
    RequestMeta::is_claimed(message) || matches!(&*message.method(), method::DISCOVER | method::LISTEN)
}

fn refuse_handshake(message: &Message) -> Outcome {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        #[serde(default)]
        protocol_version: String,
    }
    match parse::<Params>(message.params().as_deref()) {
        Ok(params) => modern::unsupported_version(&params.protocol_version).into(),
        Err(error) => error.into(),
    }
}
