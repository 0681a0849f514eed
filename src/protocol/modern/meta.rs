//! `params._meta` of a request without a handshake (2026-07-28, "Per-Request Metadata").

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::protocol::mcp::InitializeParams;
use crate::protocol::member::{Members, members};
use crate::protocol::{Message, ProtocolVersion};

/// The version that the request speaks.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The least severe level of log messages that the client wants for this request; without it there are none.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Who the server is, in the `_meta` of results.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The id of the `subscriptions/listen` that a notification belongs to, in the `_meta` of notifications.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What a request says of its client.
#[derive(Debug, Clone)]
pub struct RequestMeta {
    /// The version it speaks, known or not.
    pub version: String,
    /// What the client can do.
    pub capabilities: Map<String, Value>,
    /// Who the client is, if it says so.
    pub client_info: Option<Box<RawValue>>,
    /// The least severe level of log messages that it wants.
    pub log_level: Option<String>,
}

/// What is wrong with the `_meta` of a request; the sentence is fit for its sender.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MetaError {
    /// A member that every request needs is not there.
    #[error("params._meta needs {0:?}")]
    Missing(&'static str),
    /// A member is of another type.
    #[error("{0:?} in params._meta must be {1}")]
    Type(&'static str, &'static str),
}

impl RequestMeta {
    /// Returns whether a request claims to be of this era. One that does is answered in this era, whatever it lacks.
    pub fn is_claimed(request: &Message) -> bool {
        let meta = request.meta().and_then(members);
        meta.is_some_and(|meta| meta.contains_key(PROTOCOL_VERSION) || meta.contains_key(CLIENT_CAPABILITIES))
    }

    /// Reads what a request says.
    ///
    /// # Errors
    /// The version or the capabilities are missing, or something is of another type than it must be.
    pub fn parse(request: &Message) -> Result<Self, MetaError> {
        let meta = request.meta().and_then(members);
        read(&meta.ok_or(MetaError::Missing(PROTOCOL_VERSION))?)
    }
}

/// Returns the parameters of a request of the gateway's own: it can do nothing that a server might ask for, but what the
/// parameters say.
pub fn with_own_meta(params: Option<&RawValue>) -> Box<RawValue> {
    let own = InitializeParams::of_gateway();
    let mut params: Map<String, Value> = params
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .unwrap_or_default();
    let stated = params.get("_meta").and_then(|meta| meta.get(CLIENT_CAPABILITIES));
    let meta = json!({
        PROTOCOL_VERSION: ProtocolVersion::V2026_07_28.as_str(),
        CLIENT_CAPABILITIES: stated.cloned().unwrap_or_else(|| json!({})),
        CLIENT_INFO: own.client_info,
    });
    params.insert("_meta".to_owned(), meta);
    to_raw_value(&params).expect("plain data becomes JSON")
}

fn read(meta: &Members<'_>) -> Result<RequestMeta, MetaError> {
    let version = text(meta, PROTOCOL_VERSION)?.ok_or(MetaError::Missing(PROTOCOL_VERSION))?;
    let capabilities = meta
        .get(CLIENT_CAPABILITIES)
        .ok_or(MetaError::Missing(CLIENT_CAPABILITIES))?;
    let capabilities = serde_json::from_str(capabilities.get())
        .map_err(|_| MetaError::Type(CLIENT_CAPABILITIES, "an object"))?;
    let client_info = meta.get(CLIENT_INFO).map(|info| (*info).to_owned());
    if client_info
        .as_ref()
        .is_some_and(|info| !info.get().starts_with('{'))
    {
        return Err(MetaError::Type(CLIENT_INFO, "an object"));
    }
    Ok(RequestMeta {
        version,
        capabilities,
        client_info,
        log_level: text(meta, LOG_LEVEL)?,
    })
}

fn text(meta: &Members<'_>, key: &'static str) -> Result<Option<String>, MetaError> {
    let read = |raw: &&RawValue| serde_json::from_str(raw.get());
    meta.get(key)
        .map(read)
        .transpose()
        .map_err(|_| MetaError::Type(key, "a string"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::protocol::scan::{ScanOptions, UniqueKeys};

    fn request(params: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#);
        let scan = ScanOptions {
            depth_max: 64,
            unique_keys: UniqueKeys::Everywhere,
        };
        Message::parse(text.into(), scan).expect("valid")
    }

    #[test]
    fn reads_what_a_request_says() {
        let request = request(
            r#"{"name":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":{"sampling":{}},
            "io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/logLevel":"info","progressToken":1}}"#,
        );
        assert!(RequestMeta::is_claimed(&request));
        assert_eq!(request.log_level().as_deref(), Some("info"));
        let meta = RequestMeta::parse(&request).expect("valid");
        assert_eq!(meta.version, "2026-07-28");
        assert!(meta.capabilities.contains_key("sampling"));
        assert_eq!(meta.client_info.expect("it is there").get(), r#"{"name":"c"}"#);
        assert_eq!(meta.log_level.as_deref(), Some("info"));
    }

    #[test]
    fn most_requests_want_no_log_messages() {
        let level = |params: &str| request(params).log_level().map(Cow::into_owned);
        assert_eq!(level("{}"), None);
        assert_eq!(
            level(r#"{"_meta":{"note":"io.modelcontextprotocol/logLevel"}}"#),
            None
        );
        assert_eq!(level(r#"{"_meta":{"io.modelcontextprotocol/logLevel":7}}"#), None);
        let escaped = r#"{"_meta":{"io.modelcontextprotocol\/logLevel":"debug"}}"#;
        assert_eq!(level(escaped).as_deref(), Some("debug"));
    }

    #[test]
    fn says_what_is_missing() {
        let check = |params: &str, claimed: bool, expect: MetaError| {
            let request = request(params);
            assert_eq!(RequestMeta::is_claimed(&request), claimed, "{params}");
            let error = RequestMeta::parse(&request).map(drop);
            assert_eq!(error, Err(expect), "{params}");
        };
        let missing_version = || MetaError::Missing(PROTOCOL_VERSION);
        check("{}", false, missing_version());
        check(r#"{"_meta":7}"#, false, missing_version());
        check(r#"{"_meta":{"progressToken":1}}"#, false, missing_version());
        let params = r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#;
        check(params, true, missing_version());
        let params = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        check(params, true, MetaError::Missing(CLIENT_CAPABILITIES));
        let params = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#;
        check(params, true, MetaError::Type(PROTOCOL_VERSION, "a string"));
        let params = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"v","io.modelcontextprotocol/clientCapabilities":[]}}"#;
        check(params, true, MetaError::Type(CLIENT_CAPABILITIES, "an object"));
    }
}
