//! `/mcp/{server}` and `/modes/{mode}/mcp/{server}`: the endpoints of a server or a route, for every transport of the handshake era (2025-11-25, "Streamable
//! HTTP"; 2024-11-05, "HTTP with SSE"). The one place downstream that knows the era.

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, Method, StatusCode};

use super::mode::Selection;
use super::reply::{self, Response};
use super::routes::HttpContext;
use super::{post, stream};
use crate::gateway::{Pinned, Session};
use crate::protocol::ProtocolVersion;
use crate::protocol::names::header;
use crate::registry::Target;
use crate::session::{Caller, SessionId};

/// What a URL names.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) mode: Option<String>,
    /// The last segment: the path of a server, or the name of a route.
    pub(super) path: String,
}

/// A request whose sender is known.
pub(super) struct McpRequest<'a> {
    pub(super) context: &'a HttpContext,
    pub(super) target: Target,
    /// The last segment of its URL.
    pub(super) path: String,
    pub(super) mode: Selection,
    pub(super) caller: Caller,
    pub(super) headers: &'a HeaderMap,
    /// The raw query string, possibly empty.
    pub(super) query: &'a str,
}

/// By which name a request means its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionNaming {
    /// `Mcp-Session-Id`: Streamable HTTP.
    McpHeader,
    /// `x-session-id`: plain JSON answers.
    XHeader,
    /// `?sessionId=`: HTTP+SSE.
    Query,
}

/// Handles one request to a server's endpoint.
pub(super) async fn handle<B: Buf, E>(
    context: HttpContext,
    endpoint: Endpoint,
    method: Method,
    headers: HeaderMap,
    query: String,
    body: impl Stream<Item = Result<B, E>>,
) -> Response {
    if let Err(refusal) = context.origins.check(&headers) {
        return refusal.into();
    }
    if method == Method::OPTIONS {
        return reply::empty(StatusCode::NO_CONTENT);
    }
    let principal = match context.principals.of(&headers) {
        Ok(principal) => principal,
        Err(refusal) => return refusal.into(),
    };
    let Endpoint { mode, path } = endpoint;
    let mode = match context.modes.select(&principal, mode.as_deref(), &headers) {
        Ok(mode) => mode,
        Err(refusal) => return refusal.into(),
    };
    let Some(target) = context.gateway.registry().target_at(&path) else {
        return reply::server_not_found(&path);
    };
    let request = McpRequest {
        context: &context,
        target,
        path,
        caller: Caller {
            principal,
            mode: mode.mode().cloned(),
        },
        mode,
        headers: &headers,
        query: &query,
    };
    if let Err(response) = request.check_version() {
        return *response;
    }
    match method {
        Method::POST => post::handle(request, body).await,
        Method::GET => stream::handle(request).await,
        Method::DELETE => delete(&request),
        _ => reply::method_not_allowed("GET, POST, DELETE, OPTIONS"),
    }
}

impl McpRequest<'_> {
    /// A version that is named must be one that is known (2025-06-18, "Protocol Version Header").
    fn check_version(&self) -> Result<(), Box<Response>> {
        let Some(value) = self.headers.get(header::PROTOCOL_VERSION) else {
            return Ok(());
        };
        let known = value.to_str().ok().and_then(ProtocolVersion::parse).is_some();
        if known {
            return Ok(());
        }
        let versions: Vec<_> = ProtocolVersion::HANDSHAKE
            .iter()
            .map(|version| version.as_str())
            .collect();
        let message = format!(
            "MCP-Protocol-Version {value:?} is not supported; supported are {}",
            versions.join(", ")
        );
        Err(Box::new(reply::refused(StatusCode::BAD_REQUEST, message)))
    }

    /// Returns the session that the request names, if it names one.
    ///
    /// # Errors
    /// The answer: the session is unknown, or belongs to another principal, mode or server.
    pub(super) fn session(&self) -> Result<Option<(Arc<Session>, SessionNaming)>, Box<Response>> {
        let Some((text, naming)) = self.named_session() else {
            return Ok(None);
        };
        let sessions = self.context.gateway.sessions();
        let session = SessionId::parse(&text).and_then(|id| sessions.get(id, &self.caller));
        match session.filter(|session| self.target.leads_to(session.attachment().server())) {
            Some(session) => Ok(Some((session, naming))),
            None => Err(Box::new(reply::session_not_found())),
        }
    }

    /// Returns the policies that judge this request, if there are any.
    pub(super) fn pin(&self) -> Option<Pinned> {
        let header = |name: &str| self.headers.get(name)?.to_str().ok().map(str::to_owned);
        self.context.gateway.pin(header)
    }

    fn named_session(&self) -> Option<(String, SessionNaming)> {
        let header = |name| {
            self.headers
                .get(name)
                .map(|value| value.to_str().unwrap_or_default().to_owned())
        };
        let of_header = |name, naming| header(name).map(|text| (text, naming));
        of_header(header::SESSION_ID, SessionNaming::McpHeader)
            .or_else(|| of_header(header::X_SESSION_ID, SessionNaming::XHeader))
            .or_else(|| {
                let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
                let id = pairs
                    .find(|(name, _)| *name == "sessionId")
                    .map(|(_, value)| value.to_owned());
                id.map(|text| (text, SessionNaming::Query))
            })
    }
}

fn delete(request: &McpRequest<'_>) -> Response {
    match request.session() {
        Err(response) => *response,
        Ok(None) => reply::refused(StatusCode::BAD_REQUEST, "DELETE needs the header Mcp-Session-Id"),
        Ok(Some((session, _))) => {
            request
                .context
                .gateway
                .end_session(&session, "the client ended it");
            reply::empty(StatusCode::NO_CONTENT)
        }
    }
}
