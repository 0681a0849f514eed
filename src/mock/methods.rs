//! The methods of the handshake era: what each request becomes, and what notifications do.
//!
//! The modern era has its own table in `modern::methods`; `eras` chooses.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::catalogue::{Kind, cursor};
use super::message::{invalid_params, parse};
use super::noise;
use super::peer::{Level, Peer};
use super::script::Outcome;
use super::server::Server;
use super::tools::{self, Call};
use super::{completions, prompts, resources};
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Message, ProtocolVersion};

/// What a server says of itself in either era.
pub(crate) const INSTRUCTIONS: &str =
    "A mock server: echo returns its arguments, test_* are fixtures, state looks inside.";

/// Decides what becomes of a request.
pub(crate) fn handle(server: &Arc<Server>, message: &Message) -> Outcome {
    let params = message.params();
    let params = params.as_deref();
    let outcome = match &*message.method() {
        "tools/call" => return call_tool(server, message, params),
        "ping" => Ok(Outcome::result("{}")),
        "initialize" => initialize(server, params),
        "tools/list" => list(server, Kind::Tools, params),
        "resources/list" => list(server, Kind::Resources, params),
        "resources/templates/list" => list(server, Kind::ResourceTemplates, params),
        "resources/read" => read_resource(server, params),
        "resources/subscribe" => subscribe(server, params),
        "resources/unsubscribe" => unsubscribe(server, params),
        "prompts/list" => list(server, Kind::Prompts, params),
        "prompts/get" => get_prompt(server, params),
        "logging/setLevel" => set_level(server, params),
        name @ ("tasks/list" | "tasks/get" | "tasks/result" | "tasks/cancel") => {
            server.tasks.lock().handle(name, params)
        }
        "completion/complete" if server.peer.lock().version >= ProtocolVersion::V2025_03_26 => {
            completions::complete(params).map(Outcome::result)
        }
        _ if server.options.silent_probe && !server.peer.lock().has_shaken_hands => {
            Ok(Outcome::Script(Vec::new()))
        }
        unknown => Err(ErrorObject::new(
            code::METHOD_NOT_FOUND,
            format!("Method not found: {unknown}"),
        )),
    };
    outcome.unwrap_or_else(Outcome::Error)
}

/// Acts on a notification. Unknown ones are for somebody else.
pub(crate) fn notice(server: &Arc<Server>, message: &Message) {
    match &*message.method() {
        method::INITIALIZED => noise::start_once(server),
        method::CANCELLED => {
            if let Some(id) = message.cancelled_request() {
                server.cancel(&id);
            }
        }
        _ => {}
    }
}

fn call_tool(server: &Arc<Server>, message: &Message, params: Option<&[u8]>) -> Outcome {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
        task: Option<serde::de::IgnoredAny>,
    }
    match parse::<Params<'_>>(params) {
        Ok(params) => {
            let call = Call {
                server,
                raw: params.arguments,
                progress_token: message.wanted_progress_token(),
                modern: None,
            };
            let outcome = tools::call(&params.name, &call);
            match params.task {
                None => outcome,
                Some(_) => server.tasks.lock().begin(outcome),
            }
        }
        Err(error) => error.into(),
    }
}

fn initialize(server: &Arc<Server>, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        protocol_version: String,
        capabilities: Value,
        client_info: Value,
    }
    let params: Params = parse(params)?;
    // A version it does not know is answered with its own latest.
    let negotiated = ProtocolVersion::parse(&params.protocol_version).unwrap_or(ProtocolVersion::LATEST);
    let options = &server.options;
    let told = options
        .protocol_version
        .clone()
        .unwrap_or_else(|| negotiated.as_str().to_owned());
    let version = ProtocolVersion::parse(&told).unwrap_or(negotiated);
    let result = json!({
        "protocolVersion": told,
        "capabilities": capabilities(version),
        "serverInfo": { "name": options.name, "version": options.server_version },
        "instructions": INSTRUCTIONS,
    });
    *server.peer.lock() = Peer {
        has_shaken_hands: true,
        version,
        version_told: told,
        capabilities: params.capabilities,
        client_info: params.client_info,
        ..Peer::default()
    };
    Ok(Outcome::result(result.to_string()))
}

pub(crate) fn capabilities(version: ProtocolVersion) -> Value {
    let mut capabilities = json!({
        "tools": { "listChanged": true },
        "resources": { "subscribe": true, "listChanged": true },
        "prompts": { "listChanged": true },
        "logging": {},
    });
    if version >= ProtocolVersion::V2025_03_26 {
        capabilities["completions"] = json!({});
    }
    capabilities
}

fn list(server: &Arc<Server>, kind: Kind, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    let cursor = cursor(params)?;
    let version = server.peer.lock().version;
    let additions = server.additions.lock();
    server
        .catalogue
        .page(kind, version, &additions, cursor.as_deref())
        .map(Outcome::result)
}

fn get_prompt(server: &Arc<Server>, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    let outcome = prompts::get(params, &server.additions.lock())?;
    if let Outcome::Ask(ask) = &outcome {
        server.peer.lock().may_all_be_asked(ask).map_err(invalid_params)?;
    }
    Ok(outcome)
}

fn read_resource(server: &Arc<Server>, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    let uri = resources::uri(params)?;
    resources::read(&uri, &server.additions.lock()).map(Outcome::result)
}

fn subscribe(server: &Arc<Server>, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    let uri = resources::uri(params)?;
    resources::read(&uri, &server.additions.lock())?;
    server.peer.lock().subscriptions.insert(uri);
    Ok(Outcome::result("{}"))
}

fn unsubscribe(server: &Arc<Server>, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    let uri = resources::uri(params)?;
    server.peer.lock().subscriptions.remove(&uri);
    Ok(Outcome::result("{}"))
}

fn set_level(server: &Arc<Server>, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
    #[derive(Deserialize)]
    struct Params {
        level: String,
    }
    let params: Params = parse(params)?;
    let unknown = || invalid_params(format!("unknown level {}", params.level));
    server.peer.lock().level = Level::named(&params.level).ok_or_else(unknown)?;
    Ok(Outcome::result("{}"))
}
