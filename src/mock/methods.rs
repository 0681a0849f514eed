//! The methods of the handshake era: what each request becomes, and what notifications do.
//!
//! Later eras bring their own table beside this one; the loop in `server` knows neither.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::catalogue::{Kind, cursor};
use super::message::{METHOD_NOT_FOUND, RpcError};
use super::noise;
use super::peer::{Level, Peer};
use super::script::Outcome;
use super::server::Server;
use super::tools::{self, Call};
use super::version::Version;
use super::{completions, prompts, resources};

/// Decides what becomes of a request.
pub(crate) fn handle(server: &Arc<Server>, method: &str, params: Option<&RawValue>) -> Outcome {
    let outcome = match method {
        "tools/call" => return call_tool(server, params),
        "ping" => Ok(Outcome::result("{}")),
        "initialize" => initialize(server, params),
        "tools/list" => list(server, Kind::Tools, params),
        "resources/list" => list(server, Kind::Resources, params),
        "resources/templates/list" => list(server, Kind::ResourceTemplates, params),
        "resources/read" => read_resource(server, params),
        "resources/subscribe" => subscribe(server, params),
        "resources/unsubscribe" => unsubscribe(server, params),
        "prompts/list" => list(server, Kind::Prompts, params),
        "prompts/get" => prompts::get(params, &server.additions.lock()).map(Outcome::result),
        "logging/setLevel" => set_level(server, params),
        "completion/complete" if server.peer.lock().version >= Version::V2025_03_26 => {
            completions::complete(params).map(Outcome::result)
        }
        _ => Err(RpcError::new(
            METHOD_NOT_FOUND,
            format!("Method not found: {method}"),
        )),
    };
    outcome.unwrap_or_else(Outcome::Error)
}

/// Acts on a notification. Unknown ones are for somebody else.
pub(crate) fn notice(server: &Arc<Server>, method: &str, params: Option<&RawValue>) {
    match method {
        "notifications/initialized" => server
            .started_once
            .call_once(|| noise::start_notifications(server)),
        "notifications/cancelled" => {
            #[derive(Deserialize)]
            struct Params<'a> {
                #[serde(borrow, rename = "requestId")]
                request_id: &'a RawValue,
            }
            if let Some(Ok(params)) = params.map(|params| serde_json::from_str::<Params<'_>>(params.get())) {
                server.cancel(params.request_id.get());
            }
        }
        _ => {}
    }
}

fn call_tool(server: &Arc<Server>, params: Option<&RawValue>) -> Outcome {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(borrow)]
        arguments: Option<&'a RawValue>,
        #[serde(borrow, rename = "_meta")]
        meta: Option<Meta<'a>>,
    }
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, rename = "progressToken")]
        progress_token: Option<&'a RawValue>,
    }
    match serde_json::from_str::<Params<'_>>(params.map_or("{}", RawValue::get)) {
        Ok(params) => {
            let progress_token = params.meta.and_then(|meta| meta.progress_token);
            tools::call(
                &params.name,
                &Call {
                    server,
                    raw: params.arguments,
                    progress_token,
                },
            )
        }
        Err(error) => RpcError::invalid_params(error.to_string()).into(),
    }
}

fn initialize(server: &Arc<Server>, params: Option<&RawValue>) -> Result<Outcome, RpcError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        protocol_version: String,
        capabilities: Value,
        client_info: Value,
    }
    let params: Params = parse(params)?;
    let negotiated = Version::negotiate(&params.protocol_version);
    let options = &server.options;
    let told = options
        .protocol_version
        .clone()
        .unwrap_or_else(|| negotiated.as_str().to_owned());
    let version = Version::named(&told).unwrap_or(negotiated);
    let result = json!({
        "protocolVersion": told,
        "capabilities": capabilities(version),
        "serverInfo": { "name": options.name, "version": options.server_version },
        "instructions": "A mock server: echo returns its arguments, test_* are fixtures, state looks inside.",
    });
    *server.peer.lock() = Peer {
        version,
        version_told: told,
        capabilities: params.capabilities,
        client_info: params.client_info,
        ..Peer::default()
    };
    Ok(Outcome::result(result.to_string()))
}

fn capabilities(version: Version) -> Value {
    let mut capabilities = json!({
        "tools": { "listChanged": true },
        "resources": { "subscribe": true, "listChanged": true },
        "prompts": { "listChanged": true },
        "logging": {},
    });
    if version >= Version::V2025_03_26 {
        capabilities["completions"] = json!({});
    }
    capabilities
}

fn list(server: &Arc<Server>, kind: Kind, params: Option<&RawValue>) -> Result<Outcome, RpcError> {
    let cursor = cursor(params)?;
    let version = server.peer.lock().version;
    let additions = server.additions.lock();
    server
        .catalogue
        .page(kind, version, &additions, cursor.as_deref())
        .map(Outcome::result)
}

fn read_resource(server: &Arc<Server>, params: Option<&RawValue>) -> Result<Outcome, RpcError> {
    let uri = resources::uri(params)?;
    resources::read(&uri, &server.additions.lock()).map(Outcome::result)
}

fn subscribe(server: &Arc<Server>, params: Option<&RawValue>) -> Result<Outcome, RpcError> {
    let uri = resources::uri(params)?;
    resources::read(&uri, &server.additions.lock())?;
    server.peer.lock().subscriptions.insert(uri);
    Ok(Outcome::result("{}"))
}

fn unsubscribe(server: &Arc<Server>, params: Option<&RawValue>) -> Result<Outcome, RpcError> {
    let uri = resources::uri(params)?;
    server.peer.lock().subscriptions.remove(&uri);
    Ok(Outcome::result("{}"))
}

fn set_level(server: &Arc<Server>, params: Option<&RawValue>) -> Result<Outcome, RpcError> {
    #[derive(Deserialize)]
    struct Params {
        level: String,
    }
    let params: Params = parse(params)?;
    let unknown = || RpcError::invalid_params(format!("unknown level {}", params.level));
    server.peer.lock().level = Level::named(&params.level).ok_or_else(unknown)?;
    Ok(Outcome::result("{}"))
}

fn parse<T: serde::de::DeserializeOwned>(params: Option<&RawValue>) -> Result<T, RpcError> {
    serde_json::from_str(params.map_or("{}", RawValue::get))
        .map_err(|error| RpcError::invalid_params(error.to_string()))
}
