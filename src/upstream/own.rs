//! The text of what the gateway says to a server on its own.

use serde_json::value::RawValue;

use crate::protocol::modern::meta::with_own_meta;
use crate::protocol::names::method;
use crate::protocol::{Era, reply};

/// Writes a request of the gateway's own; where there is no handshake, with what it says of itself.
pub(super) fn write_own(era: Era, id: i64, method: &str, params: Option<&RawValue>, out: &mut Vec<u8>) {
    match era {
        Era::Handshake => reply::write_request(id, method, params, out),
        Era::Modern => reply::write_request(id, method, Some(&with_own_meta(params)), out),
    }
}

pub(super) fn write_cancelled(id: i64, reason: &str, out: &mut Vec<u8>) {
    let params = serde_json::json!({ "requestId": id, "reason": reason }).to_string();
    let params = RawValue::from_string(params).expect("the text is JSON");
    reply::write_notification(method::CANCELLED, Some(&params), out);
}
