//! `/healthz`, `/readyz`, `/health/{server}`: for those who watch the gateway. They say no more than they must.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::reply::{self, Response};
use super::routes::HttpContext;
use crate::registry::record::ConnectionState;

/// The process is there.
pub(super) fn healthz() -> Response {
    reply::json(StatusCode::OK, Bytes::from_static(br#"{"status":"ok"}"#))
}

/// The gateway takes requests: it is not about to stop.
pub(super) fn readyz(context: &HttpContext) -> Response {
    if context.gateway.is_draining() {
        let body = Bytes::from_static(br#"{"status":"draining"}"#);
        return reply::json(StatusCode::SERVICE_UNAVAILABLE, body);
    }
    reply::json(StatusCode::OK, Bytes::from_static(br#"{"status":"ready"}"#))
}

/// A server can be used: it is enabled and has not failed. One that is not running yet starts with its first request.
pub(super) fn of_server(context: &HttpContext, name: &str) -> Response {
    let Ok(server) = context.gateway.registry().server(name) else {
        return reply::empty(StatusCode::NOT_FOUND);
    };
    let record = server.record();
    let usable = server.is_enabled() && record.connection_state != ConnectionState::Error;
    let status = if usable {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "name": record.name,
        "status": record.status,
        "connectionState": record.connection_state,
        "phase": record.phase,
    });
    reply::json(status, body.to_string().into())
}
