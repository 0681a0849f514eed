//! `/mcp/{server}` and `/modes/{mode}/mcp/{server}`: the endpoints of a server or a route, for every transport and era
//! (2026-07-28 and 2025-11-25, "Streamable HTTP"; 2024-11-05, "HTTP with SSE").

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, Method, StatusCode};

use super::mode::Selection;
use super::reply::{self, Response};
use super::routes::HttpContext;
use super::{post, stream};
use crate::gateway::{Gateway, Pinned, Session};
use crate::protocol::ProtocolVersion;
use crate::protocol::names::header;
use crate::registry::Target;
use crate::session::{Caller, SessionId};

/// Versions are dates. Those of this year and later have no handshake.
const FIRST_MODERN_YEAR: &str = "2026";

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
    if method == Method::OPTIONS {
        return match context.origins.check(&headers) {
            Ok(()) => reply::empty(StatusCode::NO_CONTENT),
            Err(refusal) => refusal.into(),
        };
    }
    let request = match McpRequest::admit(&context, endpoint, &headers, &query) {
        Ok(request) => request,
        Err(response) => return *response,
    };
    if method == Method::POST {
        return post::handle(request, body).await;
    }
    if request.names_modern_version() {
        return reply::method_not_allowed("POST, OPTIONS");
    }
    if let Err(response) = request.check_version() {
        return *response;
    }
    match method {
        Method::GET => stream::handle(request).await,
        Method::DELETE => delete(&request),
        _ => reply::method_not_allowed("GET, POST, DELETE, OPTIONS"),
    }
}

impl<'a> McpRequest<'a> {
    /// Checks who makes a request, from where and in which mode, and finds what its URL names.
    ///
    /// # Errors
    /// The answer: one of these is refused.
    pub(super) fn admit(
        context: &'a HttpContext,
        endpoint: Endpoint,
        headers: &'a HeaderMap,
        query: &'a str,
    ) -> Result<Self, Box<Response>> {
        let refuse = |response: Response| Box::new(response);
        context
            .origins
            .check(headers)
            .map_err(|refusal| refuse(refusal.into()))?;
        // One and the same for both, whatever is put in its place meanwhile.
        let admission = context.entrance.current();
        let principal = admission
            .principals
            .of(headers)
            .map_err(|refusal| refuse(refusal.into()))?;
        let Endpoint { mode, path } = endpoint;
        let mode = admission
            .modes
            .select(&principal, mode.as_deref(), headers)
            .map_err(|refusal| refuse(refusal.into()))?;
        let target = context.gateway.registry().target_at(&path);
        Ok(Self {
            context,
            target: target.ok_or_else(|| refuse(reply::server_not_found(&path)))?,
            path,
            caller: Caller {
                principal,
                mode: mode.mode().cloned(),
            },
            mode,
            headers,
            query,
        })
    }

    /// Returns whether its header names a version without a handshake, known or not.
    pub(super) fn names_modern_version(&self) -> bool {
        let version = self.headers.get(header::PROTOCOL_VERSION);
        let version = version.and_then(|value| value.to_str().ok()).map(str::trim);
        version.is_some_and(|version| {
            version.starts_with(|first: char| first.is_ascii_digit()) && version >= FIRST_MODERN_YEAR
        })
    }

    /// Returns whether its header names a version without a handshake that is known.
    pub(super) fn names_known_modern_version(&self) -> bool {
        let version = self.headers.get(header::PROTOCOL_VERSION);
        let version = version.and_then(|value| value.to_str().ok()).map(str::trim);
        version.and_then(ProtocolVersion::parse_modern).is_some()
    }

    /// A version that is named must be one that is known (2025-06-18, "Protocol Version Header").
    pub(super) fn check_version(&self) -> Result<(), Box<Response>> {
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
        pin(&self.context.gateway, self.headers)
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

/// Returns the policies that judge what comes with these headers, if there are any.
pub(super) fn pin(gateway: &Gateway, headers: &HeaderMap) -> Option<Pinned> {
    gateway.pin(|name| headers.get(name)?.to_str().ok().map(str::to_owned))
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
