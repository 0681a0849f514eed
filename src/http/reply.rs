//! Answers as HTTP: the second of the two conversions to the wire.

use std::convert::Infallible;
use std::fmt::Display;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderName, StatusCode};
use warp::Reply;

use super::auth::AuthRefused;
use super::body::BodyRefused;
use super::mode::ModeRefused;
use super::origin::OriginRefused;
use crate::protocol::RequestId;
use crate::protocol::names::code;
use crate::protocol::reply::{ErrorObject, write_error};
use crate::session::SessionId;

/// An HTTP answer.
pub(super) type Response = warp::reply::Response;

const JSON: HeaderValue = HeaderValue::from_static(super::accept::JSON);

/// Returns JSON.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Returns no body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// Returns a body that streams.
pub(super) fn stream(
    body: impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync + 'static,
) -> Response {
    warp::reply::stream(body).into_response()
}

/// Returns a JSON-RPC error that answers no request in particular.
pub(super) fn error(status: StatusCode, code: i32, message: impl Display) -> Response {
    error_for(status, None, code, message)
}

/// Returns a JSON-RPC error.
pub(super) fn error_for(
    status: StatusCode,
    id: Option<&RequestId>,
    code: i32,
    message: impl Display,
) -> Response {
    let mut out = Vec::new();
    write_error(id, &ErrorObject::new(code, message.to_string()), &mut out);
    json(status, out.into())
}

/// Refuses what the transport refuses.
pub(super) fn refused(status: StatusCode, message: impl Display) -> Response {
    error(status, code::REFUSED, message)
}

/// Refuses a method of HTTP.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response {
    let mut response = refused(
        StatusCode::METHOD_NOT_ALLOWED,
        "this HTTP method is not allowed here",
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Says that a session is unknown, or known to somebody else only.
pub(super) fn session_not_found() -> Response {
    let message = "the session is unknown or has ended; send initialize again";
    error(StatusCode::NOT_FOUND, code::SESSION_NOT_FOUND, message)
}

/// Says that there is no such server.
pub(super) fn server_not_found(path: &str) -> Response {
    error(
        StatusCode::NOT_FOUND,
        code::REFUSED,
        format_args!("there is no server at /mcp/{path}"),
    )
}

impl From<OriginRefused> for Response {
    fn from(refusal: OriginRefused) -> Self {
        refused(StatusCode::FORBIDDEN, refusal)
    }
}

impl From<ModeRefused> for Response {
    fn from(refusal: ModeRefused) -> Self {
        refused(refusal.status(), refusal)
    }
}

impl From<AuthRefused> for Response {
    fn from(refusal: AuthRefused) -> Self {
        let challenge = refusal.challenge();
        let mut response = refused(StatusCode::UNAUTHORIZED, refusal);
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

impl From<BodyRefused> for Response {
    fn from(refusal: BodyRefused) -> Self {
        match refusal {
            BodyRefused::TooLarge => refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is longer than http.body-max",
            ),
            BodyRefused::TooSlow => refused(
                StatusCode::REQUEST_TIMEOUT,
                "the body took longer than http.body-timeout",
            ),
            BodyRefused::Broken => refused(StatusCode::BAD_REQUEST, "the body could not be read"),
        }
    }
}

/// Sets the header that names a session.
pub(super) fn set_session_id(headers: &mut HeaderMap, name: &'static str, id: SessionId) {
    let value = HeaderValue::try_from(id.to_string()).expect("a UUID is a header value");
    headers.insert(HeaderName::from_static(name), value);
}
