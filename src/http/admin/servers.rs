//! Servers: read, registered, changed, removed, ordered about.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::reply::{self, Response};
use super::body::Body;
use super::error::AdminError;
use super::operation::Operation;
use super::routes::AdminContext;
use crate::config::{AdminConfig, ServerSpec, Violation};
use crate::gateway::Gateway;
use crate::registry::{Actor, Server, Source};

/// These servers, by name.
pub(super) fn list(servers: &[Arc<Server>]) -> Response {
    let records: BTreeMap<_, _> = servers
        .iter()
        .map(|server| (server.name().as_str(), server.record()))
        .collect();
    answer(StatusCode::OK, &json!({ "servers": records }))
}

/// One server.
pub(super) fn show(gateway: &Gateway, name: &str) -> Result<Response, AdminError> {
    Ok(record(StatusCode::OK, &*gateway.registry().server(name)?))
}

/// Adds a server. Variables do not expand in what it says.
pub(super) async fn register(context: &AdminContext, body: &Body) -> Result<Response, AdminError> {
    let gateway = &context.gateway;
    let registration = with_status_as_flag(body.object()?)?;
    let admin = &gateway.config().admin;
    if !admin.allow_commands && !admin.allow_urls {
        return Err(AdminError::CommandsNotAllowed);
    }
    let spec = ServerSpec::from_api(&registration, &gateway.config().server_defaults)?;
    check_right(admin, &spec)?;
    let server = gateway.register(spec.into(), Source::Api, Actor::Admin).await?;
    let mut response = record(StatusCode::CREATED, &server);
    let location = format!("/admin/v1/servers/{}", server.name());
    let location = HeaderValue::try_from(location).expect("a name is header text");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// Refuses what the configuration does not let the API set.
fn check_right(admin: &AdminConfig, spec: &ServerSpec) -> Result<(), AdminError> {
    match spec.remote {
        Some(_) if !admin.allow_urls => Err(AdminError::UrlsNotAllowed),
        None if !admin.allow_commands => Err(AdminError::CommandsNotAllowed),
        _ => Ok(()),
    }
}

/// Changes a server by a merge patch.
pub(super) async fn patch(context: &AdminContext, name: &str, body: &Body) -> Result<Response, AdminError> {
    let config = context.gateway.config();
    let patch = with_status_as_flag(body.object()?)?;
    let change = |spec: &ServerSpec| -> Result<ServerSpec, AdminError> {
        let changed = spec.patched(&patch, &config.server_defaults)?;
        if !changed.invokes_the_same(spec) {
            check_right(&config.admin, &changed)?;
        }
        Ok(changed)
    };
    let server = context.gateway.patch(name, Actor::Admin, change).await?;
    Ok(record(StatusCode::OK, &server))
}

/// Removes a server.
pub(super) async fn unregister(gateway: &Gateway, name: &str) -> Result<Response, AdminError> {
    gateway.unregister(name, Actor::Admin).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Starts, stops, restarts, enables or disables a server.
pub(super) async fn order(
    gateway: &Gateway,
    operation: Operation,
    name: &str,
) -> Result<Response, AdminError> {
    let server = match operation {
        Operation::Start => gateway.start_server(name, Actor::Admin).await,
        Operation::Stop => gateway.stop_server(name, Actor::Admin).await,
        Operation::Restart => gateway.restart_server(name, Actor::Admin).await,
        Operation::Enable => gateway.enable(name, Actor::Admin).await,
        Operation::Disable => gateway.disable(name, Actor::Admin).await,
        other => unreachable!("{other:?} is no order"),
    };
    Ok(record(StatusCode::OK, &*server?))
}

/// The last lines that the processes of a server wrote to stderr, without what variables became.
pub(super) fn stderr(gateway: &Gateway, name: &str) -> Result<Response, AdminError> {
    let server = gateway.registry().server(name)?;
    let spec = server.spec();
    let instances = server.pool().instances();
    let instances: Vec<Value> = instances
        .iter()
        .map(|upstream| {
            let lines = upstream.stderr_lines();
            let lines: Vec<String> = lines.iter().map(|line| spec.redacted(line)).collect();
            json!({
                "instance": upstream.instance(),
                "phase": upstream.state().phase.as_str(),
                "lines": lines,
            })
        })
        .collect();
    let body = json!({ "server": server.name(), "instances": instances });
    Ok(answer(StatusCode::OK, &body))
}

/// `"status": "disabled"`, as a record shows it, says the same as `"enabled": false`.
fn with_status_as_flag(mut body: Value) -> Result<Value, AdminError> {
    let Some(status) = body.as_object_mut().and_then(|body| body.remove("status")) else {
        return Ok(body);
    };
    let refuse = |message: &str| {
        let violation = Violation {
            place: crate::config::Place::Request,
            key: "status".to_owned(),
            message: message.to_owned(),
        };
        Err(AdminError::Invalid(vec![violation]))
    };
    let enabled = match status.as_str() {
        Some("enabled") => true,
        Some("disabled") => false,
        _ => return refuse("expected \"enabled\" or \"disabled\""),
    };
    match body.get("enabled") {
        None => body["enabled"] = Value::Bool(enabled),
        Some(Value::Bool(same)) if *same == enabled => {}
        Some(_) => return refuse("contradicts `enabled`: remove one of the two"),
    }
    Ok(body)
}

fn record(status: StatusCode, server: &Server) -> Response {
    answer(status, &server.record())
}

pub(super) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("records become JSON");
    reply::json(status, body.into())
}
