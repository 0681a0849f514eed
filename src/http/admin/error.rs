//! What the admin API refuses, and how that looks: `{"error": {"code": …, "message": …}}`.

use http::StatusCode;
use http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use thiserror::Error;

use super::super::auth::AuthRefused;
use super::super::body::BodyRefused;
use super::super::reply::{self, Response};
use crate::config::Violation;
use crate::plugin::RosterError;
use crate::registry::RegistryError;

/// Why an operation was not carried out.
#[derive(Debug, Error)]
pub(super) enum AdminError {
    /// The registry refuses it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A registration or a patch breaks rules: all of them.
    #[error("the registration is not valid: {}", lines(.0))]
    Invalid(Vec<Violation>),
    /// It would make the gateway run another program.
    #[error(
        "command, args, env, cwd and inheritEnv cannot be set through the API, because whoever holds the token could \
         then run any program: set admin.allow-commands = true in the configuration to allow it"
    )]
    CommandsNotAllowed,
    /// It would make the gateway speak to another place.
    #[error(
        "url and headers cannot be set through the API, because whoever holds the token could then make the gateway \
         speak to any address that it reaches: set admin.allow-urls = true in the configuration to allow it"
    )]
    UrlsNotAllowed,
    /// The token is missing or wrong.
    #[error("{0}; it is in the file admin.token-file")]
    Unauthorized(AuthRefused),
    /// It is more than its sender may do.
    #[error("{0}")]
    Forbidden(String),
    /// The `Host` header names somebody else.
    #[error("the host {0:?} is not accepted by the admin API; speak to it by its address")]
    Host(String),
    /// The request comes from a web page of another origin.
    #[error("the admin API takes no requests from web pages of another origin, and this one is from {0:?}")]
    Origin(String),
    /// No session of that handle.
    #[error("no session has the handle {0:?}; GET /admin/v1/sessions lists them")]
    SessionNotFound(String),
    /// The plugins are not as they should be.
    #[error(transparent)]
    Plugins(#[from] RosterError),
    /// No such path.
    #[error("there is nothing at {0}; GET /admin/v1/openapi.json says what there is")]
    NotFound(String),
    /// The path knows other methods.
    #[error("this method is not allowed here, but {0} is")]
    MethodNotAllowed(String),
    /// The body is not JSON by its type.
    #[error("the body must be JSON: send Content-Type: application/json")]
    NotJson,
    /// The body could not be taken.
    #[error("{}", body_text(*.0))]
    Body(BodyRefused),
    /// The request itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// The gateway is about to stop.
    #[error("the gateway is stopping and takes no more changes")]
    Draining,
}

impl From<Vec<Violation>> for AdminError {
    fn from(violations: Vec<Violation>) -> Self {
        Self::Invalid(violations)
    }
}

impl AdminError {
    /// Returns the public code and the status that goes with it.
    fn code(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Registry(error) => (error.code(), status_of(error)),
            Self::Invalid(_) => ("invalid_registration", StatusCode::UNPROCESSABLE_ENTITY),
            Self::CommandsNotAllowed => ("commands_not_allowed", StatusCode::FORBIDDEN),
            Self::UrlsNotAllowed => ("urls_not_allowed", StatusCode::FORBIDDEN),
            Self::Unauthorized(_) => ("unauthorized", StatusCode::UNAUTHORIZED),
            Self::Forbidden(_) => ("forbidden", StatusCode::FORBIDDEN),
            Self::Host(_) => ("host_not_allowed", StatusCode::FORBIDDEN),
            Self::Origin(_) => ("origin_not_allowed", StatusCode::FORBIDDEN),
            Self::SessionNotFound(_) => ("session_not_found", StatusCode::NOT_FOUND),
            Self::Plugins(RosterError::Unknown(_)) => ("plugin_not_found", StatusCode::NOT_FOUND),
            Self::Plugins(RosterError::Refused(_)) => ("plugin_refused", StatusCode::UNPROCESSABLE_ENTITY),
            Self::NotFound(_) => ("not_found", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed(_) => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::NotJson => ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::Body(BodyRefused::TooLarge) => ("body_too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Body(BodyRefused::TooSlow) => ("body_too_slow", StatusCode::REQUEST_TIMEOUT),
            Self::Body(BodyRefused::Broken) | Self::BadRequest(_) => ("bad_request", StatusCode::BAD_REQUEST),
            Self::Draining => ("draining", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// Returns the answer.
    pub(super) fn to_response(&self) -> Response {
        let (code, status) = self.code();
        let mut error = json!({ "code": code, "message": self.to_string() });
        if let Self::Invalid(violations) = self {
            error["violations"] = violations.iter().map(shown).collect();
        }
        let mut response = reply::json(status, json!({ "error": error }).to_string().into());
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized(refusal) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(refusal.challenge()));
            }
            Self::MethodNotAllowed(allowed) => {
                let allowed = HeaderValue::from_str(allowed).expect("methods are header text");
                headers.insert(ALLOW, allowed);
            }
            _ => {}
        }
        response
    }
}

fn status_of(error: &RegistryError) -> StatusCode {
    match error {
        RegistryError::InvalidRegistration(_) => StatusCode::UNPROCESSABLE_ENTITY,
        RegistryError::ServerNotFound(_) => StatusCode::NOT_FOUND,
        RegistryError::DuplicateServer(_) | RegistryError::InvalidState { .. } => StatusCode::CONFLICT,
    }
}

fn shown(violation: &Violation) -> Value {
    json!({ "key": violation.key, "message": violation.message })
}

/// The place is always the request, so the key says enough.
fn lines(violations: &[Violation]) -> String {
    let line = |violation: &Violation| match violation.key.as_str() {
        "" => violation.message.clone(),
        key => format!("{key}: {}", violation.message),
    };
    violations.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn body_text(refusal: BodyRefused) -> &'static str {
    match refusal {
        BodyRefused::TooLarge => "the body is longer than http.body-max",
        BodyRefused::TooSlow => "the body took longer than http.body-timeout",
        BodyRefused::Broken => "the body could not be read",
    }
}
