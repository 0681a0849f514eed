//! What every request of this era has to say, whatever brings it (2026-07-28, "Per-Request Metadata", "Versioning"). The
//! rungs are climbed in this order; what a transport mirrors in its own envelope it checks in between.

use serde_json::json;

use super::meta::RequestMeta;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Kind, Message, ProtocolVersion};

/// Methods that this era has given up; whoever claims to be of it does not get them.
const REMOVED: [&str; 5] = [
    method::INITIALIZE,
    method::PING,
    method::SET_LEVEL,
    method::SUBSCRIBE,
    method::UNSUBSCRIBE,
];

/// Returns whether a message is a request that claims to be of this era. Then it is answered in this era, whatever it
/// lacks.
pub fn is_claimed_by(message: &Message) -> bool {
    message.kind() == Kind::Request
        && message
            .params()
            .is_some_and(|params| RequestMeta::is_claimed(&params))
}

/// Reads what a request says of its client.
///
/// # Errors
/// What its sender is told: the version or the capabilities are missing, or something is of another type.
pub fn stated(request: &Message) -> Result<RequestMeta, ErrorObject> {
    let params = request.params().unwrap_or_default();
    RequestMeta::parse(&params).map_err(|error| ErrorObject::new(code::INVALID_PARAMS, error.to_string()))
}

/// Returns the version that a request speaks.
///
/// # Errors
/// What its sender is told: there is no such version, but these.
pub fn supported(meta: &RequestMeta) -> Result<ProtocolVersion, ErrorObject> {
    ProtocolVersion::parse_modern(&meta.version).ok_or_else(|| {
        let supported = ProtocolVersion::MODERN.map(ProtocolVersion::as_str);
        let text = format!("the protocol version {:?} is not supported", meta.version);
        let data = json!({ "supported": supported, "requested": meta.version });
        ErrorObject::new(code::UNSUPPORTED_VERSION, text).with_data(data)
    })
}

/// Checks that a request is for a method that the version has not given up.
///
/// # Errors
/// What its sender is told.
pub fn check_method(request: &Message, version: ProtocolVersion) -> Result<(), ErrorObject> {
    let method = request.method();
    match REMOVED.contains(&&*method) {
        true => Err(ErrorObject::new(
            code::METHOD_NOT_FOUND,
            format!("{method} is not a method of {version}"),
        )),
        false => Ok(()),
    }
}
