//! The few shapes of MCP that the gateway itself reads or writes: what clients say of themselves, list results.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::version::ProtocolVersion;

/// `params` of `initialize` (2025-11-25, "Lifecycle"). Capabilities and client information stay as they came.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// The version the client asks for.
    pub protocol_version: String,
    /// What the client can do.
    pub capabilities: Map<String, Value>,
    /// Who the client is.
    pub client_info: Box<RawValue>,
}

impl InitializeParams {
    /// Returns what the gateway says to a server that several sessions share: the newest version, and no
    /// capabilities, so that the server has nobody to ask.
    pub fn of_gateway() -> Self {
        let info = serde_json::json!({ "name": "portcullis", "version": env!("CARGO_PKG_VERSION") });
        Self {
            protocol_version: ProtocolVersion::LATEST.as_str().to_owned(),
            capabilities: Map::new(),
            client_info: RawValue::from_string(info.to_string()).expect("the text is JSON"),
        }
    }

    /// Returns whether the client declares a capability, such as `sampling`.
    pub fn declares(&self, capability: &str) -> bool {
        self.capabilities.contains_key(capability)
    }

    /// Returns the version asked for, if it is one of this era.
    pub fn version(&self) -> Option<ProtocolVersion> {
        ProtocolVersion::parse(&self.protocol_version)
    }
}

/// What a server can list (2025-11-25, "Pagination").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// `tools/list` and so on.
    pub method: &'static str,
    /// The array in the result.
    pub member: &'static str,
    /// The member of an item by which others name it.
    pub key: &'static str,
    /// What a policy calls an item.
    pub kind: &'static str,
    /// What the server announces if it can list these.
    pub capability: &'static str,
    /// The notification that says the list changed.
    pub changed: &'static str,
}

/// The four listings.
pub const LISTINGS: [Listing; 4] = {
    use super::names::method;
    [
        Listing {
            method: method::TOOLS_LIST,
            member: "tools",
            key: "name",
            kind: "tool",
            capability: "tools",
            changed: method::TOOLS_CHANGED,
        },
        Listing {
            method: method::RESOURCES_LIST,
            member: "resources",
            key: "uri",
            kind: "resource",
            capability: "resources",
            changed: method::RESOURCES_CHANGED,
        },
        Listing {
            method: method::TEMPLATES_LIST,
            member: "resourceTemplates",
            key: "uriTemplate",
            kind: "resource-template",
            capability: "resources",
            changed: method::RESOURCES_CHANGED,
        },
        Listing {
            method: method::PROMPTS_LIST,
            member: "prompts",
            key: "name",
            kind: "prompt",
            capability: "prompts",
            changed: method::PROMPTS_CHANGED,
        },
    ]
};
