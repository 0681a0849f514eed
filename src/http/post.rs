//! `POST /mcp/{server}`: messages of a client.

use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::StatusCode;

use super::accept::{EVENT_STREAM, JSON, accepts, is_json, is_plain, names};
use super::body::{BodyLimits, announced_length, read_body};
use super::mcp::{McpRequest, SessionNaming};
use super::modern;
use super::reply::{self, Response};
use super::sse::resumable_stream;
use crate::gateway::{
    Answer, Delivery, Gateway, GatewayError, Incoming, RequestContext, Session, check_batch,
};
use crate::protocol::modern::ladder;
use crate::protocol::names::{code, header, method};
use crate::protocol::reply::write_error;
use crate::protocol::{Kind, Message, MessageError, RequestId};
use crate::registry::Server;
use crate::session::Transport;

/// Handles a POST.
pub(super) async fn handle<B: Buf, E>(
    request: McpRequest<'_>,
    body: impl Stream<Item = Result<B, E>>,
) -> Response {
    if !is_json(request.headers) {
        let message = "the body must be JSON: send Content-Type: application/json";
        return reply::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    if !is_plain(request.headers) {
        let message = "the body must not be compressed: send no Content-Encoding";
        return reply::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let http = &request.context.config.http;
    let limits = BodyLimits {
        bytes_max: http.body_max,
        timeout: http.body_timeout,
        announced: announced_length(request.headers),
    };
    let body = match read_body(body, limits).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into(),
    };
    let parsed = Incoming::parse(body, &request.context.config.requests);
    if is_modern(&request, &parsed) {
        return match parsed {
            Ok(Incoming::One(message)) => Box::pin(modern::handle(&request, message)).await,
            Ok(Incoming::Batch(_)) => no_batches(),
            Err(error) => not_parsed(&error),
        };
    }
    if let Err(response) = request.check_version() {
        return *response;
    }
    let session = match request.session() {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return not_parsed(&error),
    };
    match session {
        Some((session, naming)) => in_session(&request, session, naming, parsed).await,
        None => Box::pin(without_session(&request, parsed)).await,
    }
}

/// Returns whether a request claims to be of the era without sessions, by its header or by its own words; never by
/// `Mcp-Method`, which older clients send as well (2026-07-28, "Backward Compatibility").
fn is_modern(request: &McpRequest<'_>, parsed: &Result<Incoming, MessageError>) -> bool {
    if request.names_modern_version() {
        return true;
    }
    matches!(parsed, Ok(Incoming::One(message)) if ladder::is_claimed_by(message))
}

async fn in_session(
    request: &McpRequest<'_>,
    session: Arc<Session>,
    naming: SessionNaming,
    body: Incoming,
) -> Response {
    if naming == SessionNaming::McpHeader && !takes_both(request) {
        return not_acceptable();
    }
    let delivery = match naming {
        SessionNaming::McpHeader => Delivery::JsonOrStream,
        SessionNaming::XHeader => Delivery::JsonOnly,
        SessionNaming::Query => Delivery::SessionStream,
    };
    let ctx = RequestContext {
        session,
        delivery,
        pinned: request.pin(),
    };
    let gateway = &request.context.gateway;
    let answer = match body {
        Incoming::One(message) => gateway.handle(&ctx, message).await,
        Incoming::Batch(messages) => {
            if let Err(error) = check_batch(&ctx.session, &messages) {
                return reply::error(StatusCode::BAD_REQUEST, error.code, &error);
            }
            gateway.handle_batch(&ctx, messages).await
        }
    };
    respond(request, &ctx, answer)
}

async fn without_session(request: &McpRequest<'_>, body: Incoming) -> Response {
    let Incoming::One(message) = body else {
        return session_required();
    };
    if message.kind() == Kind::Request && message.method() == method::INITIALIZE {
        return open(request, message).await;
    }
    let is_one_shot = message.kind() == Kind::Request
        && !request.headers.contains_key(header::PROTOCOL_VERSION)
        && !names(request.headers, EVENT_STREAM);
    if !is_one_shot {
        return session_required();
    }
    let (gateway, pinned) = (&request.context.gateway, request.pin());
    let chosen = gateway.choose_server(pinned.as_ref(), &request.caller, &request.target, &message);
    let server = match chosen.await {
        Ok(server) => server,
        Err(error) => return not_served(message.id(), &error),
    };
    let provisional = Provisional::open(request, server, Transport::OneShot, "one-shot");
    let ctx = RequestContext {
        session: provisional.session.clone(),
        delivery: Delivery::JsonOnly,
        pinned,
    };
    let answer = gateway.handle(&ctx, message).await;
    respond(request, &ctx, answer)
}

/// A session that ends with the request that opened it, also when its client goes away meanwhile, unless it is kept.
struct Provisional<'a> {
    gateway: &'a Gateway,
    session: Arc<Session>,
    /// Why it ends if it is not kept.
    cause: &'static str,
    is_kept: bool,
}

impl<'a> Provisional<'a> {
    fn open(
        request: &'a McpRequest<'_>,
        server: Arc<Server>,
        transport: Transport,
        cause: &'static str,
    ) -> Self {
        let gateway = &*request.context.gateway;
        let session = gateway.new_session(server, request.caller.clone(), transport);
        Self {
            gateway,
            session,
            cause,
            is_kept: false,
        }
    }

    fn keep(mut self) {
        self.is_kept = true;
        self.gateway.keep_session(&self.session);
    }
}

impl Drop for Provisional<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.gateway.end_session(&self.session, self.cause);
        }
    }
}

/// `initialize`: opens a session, which is kept if the server agrees.
async fn open(request: &McpRequest<'_>, message: Message) -> Response {
    if !takes_both(request) {
        return not_acceptable();
    }
    let (gateway, pinned) = (&request.context.gateway, request.pin());
    let chosen = gateway.choose_server(pinned.as_ref(), &request.caller, &request.target, &message);
    let server = match chosen.await {
        Ok(server) => server,
        Err(error) => return not_served(message.id(), &error),
    };
    let provisional = Provisional::open(
        request,
        server,
        Transport::StreamableHttp,
        "it was not initialized",
    );
    let ctx = RequestContext {
        session: provisional.session.clone(),
        delivery: Delivery::JsonOrStream,
        pinned,
    };
    let answer = gateway.handle(&ctx, message).await;
    let mut response = respond(request, &ctx, answer);
    if ctx.session.facts().is_some() {
        provisional.keep();
        reply::set_session_id(response.headers_mut(), header::SESSION_ID, ctx.session.id());
    }
    response
}

fn respond(request: &McpRequest<'_>, ctx: &RequestContext, answer: Answer) -> Response {
    let config = &request.context.config;
    let session = &ctx.session;
    match answer {
        Answer::Accepted => reply::empty(StatusCode::ACCEPTED),
        Answer::Json(body, _) => reply::json(StatusCode::OK, body),
        Answer::Stream(reader) => resumable_stream(session, reader, config),
        Answer::Refused(body) => reply::json(StatusCode::SERVICE_UNAVAILABLE, body),
        // A cancelled request has no answer, but whoever takes nothing but JSON must see something.
        Answer::Withdrawn if ctx.delivery == Delivery::JsonOnly => reply::error(
            StatusCode::OK,
            code::CANCELLED,
            "the client took the request back",
        ),
        // The stream ends without an answer.
        Answer::Withdrawn => {
            let mut response = reply::empty(StatusCode::OK);
            let value = http::HeaderValue::from_static(EVENT_STREAM);
            response.headers_mut().insert(http::header::CONTENT_TYPE, value);
            response
        }
    }
}

fn no_batches() -> Response {
    let message = "batches are a feature of protocol version 2025-03-26, and never hold initialize";
    reply::error(StatusCode::BAD_REQUEST, code::INVALID_REQUEST, message)
}

fn not_parsed(error: &MessageError) -> Response {
    reply::error_for(StatusCode::BAD_REQUEST, error.id.as_ref(), error.code, error)
}

pub(super) fn takes_both(request: &McpRequest<'_>) -> bool {
    accepts(request.headers, JSON) && accepts(request.headers, EVENT_STREAM)
}

pub(super) fn not_acceptable() -> Response {
    let message = "the client must accept both: send Accept: application/json, text/event-stream";
    reply::refused(StatusCode::NOT_ACCEPTABLE, message)
}

fn session_required() -> Response {
    let message = "the header Mcp-Session-Id is missing; a session opens with initialize";
    reply::refused(StatusCode::BAD_REQUEST, message)
}

/// A server that is disabled is not there; whatever else stands in the way is an answer like others.
pub(super) fn not_served(id: Option<&RequestId>, error: &GatewayError) -> Response {
    let object = error.to_error_object();
    if let GatewayError::Disabled(_) = error {
        return reply::error_for(StatusCode::SERVICE_UNAVAILABLE, id, object.code, error);
    }
    let mut out = Vec::new();
    write_error(id, &object, &mut out);
    reply::json(StatusCode::OK, out.into())
}
