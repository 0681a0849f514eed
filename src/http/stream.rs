//! `GET /mcp/{server}`: event streams.

use http::StatusCode;

use super::accept::{EVENT_STREAM, accepts};
use super::mcp::McpRequest;
use super::reply::{self, Response};
use super::sse::{EventForm, endpoint, event_stream, resumable_stream};
use crate::gateway::{GatewayError, Session};
use crate::protocol::names::header;
use crate::session::{EventId, Transport};

/// Handles a GET: the stream of a session, the rest of a stream that broke, or a new HTTP+SSE session.
pub(super) async fn handle(request: McpRequest<'_>) -> Response {
    if !accepts(request.headers, EVENT_STREAM) {
        let message = "this is an event stream: send Accept: text/event-stream";
        return reply::refused(StatusCode::NOT_ACCEPTABLE, message);
    }
    match request.session() {
        Err(response) => *response,
        Ok(Some((session, _))) => of_session(&request, &session),
        Ok(None) => {
            let is_streamable = request.headers.contains_key(header::PROTOCOL_VERSION)
                || request.headers.contains_key(header::LAST_EVENT_ID);
            if is_streamable {
                let message = "the header Mcp-Session-Id is missing; a session opens with initialize";
                return reply::refused(StatusCode::BAD_REQUEST, message);
            }
            open(&request).await
        }
    }
}

fn of_session(request: &McpRequest<'_>, session: &std::sync::Arc<Session>) -> Response {
    session.touch();
    let config = &request.context.config;
    if session.transport() == Transport::HttpSse {
        // The stream of an HTTP+SSE session broke and its client found back to it.
        let prelude = endpoint(&post_uri(request, session));
        return event_stream(
            session,
            session.standalone().read_unread(),
            EventForm::Plain,
            prelude,
            config.http.keep_alive,
        );
    }
    let reader = match request.headers.get(header::LAST_EVENT_ID) {
        None => session.standalone().read_unread(),
        Some(value) => {
            let after = value.to_str().ok().and_then(|text| text.parse::<EventId>().ok());
            match after.and_then(|after| session.resume(after)) {
                Some(reader) => reader,
                None => {
                    let message = format!("the event {value:?} is unknown or too old to go on from");
                    return reply::refused(StatusCode::BAD_REQUEST, message);
                }
            }
        }
    };
    resumable_stream(session, reader, config)
}

/// Opens an HTTP+SSE session: the first event says where to post.
async fn open(request: &McpRequest<'_>) -> Response {
    let (gateway, pinned) = (&request.context.gateway, request.pin());
    let chosen = gateway.choose_server_to_open(pinned.as_ref(), &request.caller, &request.target);
    let server = match chosen.await {
        Ok(server) => server,
        Err(error) => return not_opened(&error),
    };
    let session = gateway.new_session(server, request.caller.clone(), Transport::HttpSse);
    let prelude = endpoint(&post_uri(request, &session));
    let keep_alive = request.context.config.http.keep_alive;
    let reader = session.standalone().read_unread();
    let mut response = event_stream(&session, reader, EventForm::Plain, prelude, keep_alive);
    reply::set_session_id(response.headers_mut(), header::X_SESSION_ID, session.id());
    // It has its stream by now, without which it would be taken for one that is over.
    gateway.keep_session(&session);
    response
}

/// Says why there is no session for a client that has not said anything yet.
pub(super) fn not_opened(error: &GatewayError) -> Response {
    reply::error(
        StatusCode::SERVICE_UNAVAILABLE,
        error.to_error_object().code,
        error,
    )
}

fn post_uri(request: &McpRequest<'_>, session: &Session) -> String {
    let prefix = request.mode.prefix();
    format!("{prefix}/mcp/{}?sessionId={}", request.path, session.id())
}
