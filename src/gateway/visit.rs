//! A request of the era without sessions (2026-07-28). It has a session all the same, the gateway's own, for as long as it
//! takes: what holds for a session, its lease, its policies, its limits, then holds for it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::conversation::Session;
use super::gateway::Gateway;
use crate::protocol::mcp::InitializeParams;
use crate::protocol::modern::RequestMeta;
use crate::protocol::modern::mirror::{self, Mirrored};
use crate::protocol::names::method;
use crate::protocol::{Message, ProtocolVersion};
use crate::registry::Server;
use crate::session::{Caller, Transport};

/// What a client is called that does not say who it is.
const NAMELESS: &str = r#"{"name":"unknown","version":"unknown"}"#;

/// The stay of one request. Dropping it says that its client does not wait any more: what is under way is cancelled
/// (2026-07-28, "Cancellation": the client closes the stream).
pub struct Visit {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit")
            .field("session", &self.session.id())
            .finish_non_exhaustive()
    }
}

impl Visit {
    /// Returns the session of the request.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.gateway.end_session(&self.session, "its request is over");
    }
}

impl Gateway {
    /// Opens the stay of a request that says of its client what `meta` says.
    pub fn visit(
        self: &Arc<Self>,
        server: Arc<Server>,
        caller: Caller,
        meta: RequestMeta,
        version: ProtocolVersion,
    ) -> Visit {
        let session = self.new_session(server, caller, Transport::Stateless);
        // A server with a handshake is told the newest version that has one.
        let facts = InitializeParams {
            protocol_version: ProtocolVersion::LATEST.as_str().to_owned(),
            capabilities: meta.capabilities,
            client_info: meta.client_info.unwrap_or_else(nameless),
        };
        let is_first = session.set_facts(Arc::new(facts), version);
        debug_assert!(is_first, "the session is new");
        Visit {
            gateway: self.clone(),
            session,
        }
    }
}

impl Visit {
    /// Returns the arguments of a tool call that headers mirror, by what the server says of the tool; a server that has
    /// not run yet is started for that.
    pub async fn mirrored_arguments(&self, call: &Message) -> Vec<Mirrored> {
        let Some(tool) = call.name().filter(|_| call.method() == method::TOOLS_CALL) else {
            return Vec::new();
        };
        self.gateway.know_listings(&self.session, call).await;
        let catalog = self.session.attachment().server().catalog();
        let schema = catalog.facts("tool", &tool).and_then(|facts| facts.input_schema);
        // Few tools have any: the others cost no more than this look.
        let annotated = schema.filter(|schema| schema.contains(mirror::ANNOTATION));
        let schema = annotated.and_then(|schema| serde_json::from_str(&schema).ok());
        schema
            .and_then(|schema| mirror::mirrored(&schema).ok())
            .unwrap_or_default()
    }
}

fn nameless() -> Box<RawValue> {
    RawValue::from_string(NAMELESS.to_owned()).expect("the text is JSON")
}
