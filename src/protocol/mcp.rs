//! The few shapes of MCP that the gateway itself reads or writes: the handshake, capabilities, list results.

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

/// The result of `initialize`, with every field the server sent.
#[derive(Debug, Clone)]
pub struct InitializeResult {
    fields: Map<String, Value>,
    version: ProtocolVersion,
}

impl InitializeResult {
    /// Reads the result of a server.
    ///
    /// # Errors
    /// A sentence that says what the server did wrong.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let fields: Map<String, Value> = serde_json::from_slice(json)
            .map_err(|error| format!("the result of initialize is not an object: {error}"))?;
        let Some(Value::String(text)) = fields.get("protocolVersion") else {
            return Err("the result of initialize has no protocolVersion".to_owned());
        };
        let Some(version) = ProtocolVersion::parse(text) else {
            let known: Vec<_> = ProtocolVersion::HANDSHAKE
                .iter()
                .map(|version| version.as_str())
                .collect();
            return Err(format!(
                "the server speaks protocol version {text:?}; known are {}",
                known.join(", ")
            ));
        };
        if !matches!(fields.get("capabilities"), Some(Value::Object(_))) {
            return Err("the result of initialize has no capabilities".to_owned());
        }
        Ok(Self { fields, version })
    }

    /// Returns the version that was agreed on.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Returns one capability of the server, such as `tools`.
    pub fn capability(&self, name: &str) -> Option<&Value> {
        self.fields.get("capabilities")?.get(name)
    }

    /// Returns all capabilities.
    pub fn capabilities(&self) -> &Value {
        &self.fields["capabilities"]
    }

    /// Returns the names of all capabilities.
    pub fn capability_names(&self) -> Vec<&str> {
        let capabilities = self.capabilities().as_object().into_iter();
        capabilities.flat_map(Map::keys).map(String::as_str).collect()
    }

    /// Returns what the server says of itself: `serverInfo`.
    pub fn server_info(&self) -> Option<&Value> {
        self.fields.get("serverInfo")
    }

    /// Returns the result as JSON for a client that speaks `version` and must not see the capabilities named in
    /// `without`.
    pub fn for_client(&self, version: ProtocolVersion, without: &[&str]) -> Vec<u8> {
        let mut fields = self.fields.clone();
        fields.insert("protocolVersion".to_owned(), version.as_str().into());
        if let Some(Value::Object(capabilities)) = fields.get_mut("capabilities") {
            without
                .iter()
                .for_each(|name| drop(capabilities.shift_remove(*name)));
        }
        serde_json::to_vec(&fields).expect("a JSON object is written to memory without errors")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_unknown_fields_and_hides_capabilities() {
        let json = br#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{"x":1}},"serverInfo":{"name":"s"},"instructions":"i","extra":1}"#;
        let result = InitializeResult::parse(json).expect("valid");
        let shown = result.for_client(ProtocolVersion::V2025_03_26, &["logging"]);
        assert_eq!(
            String::from_utf8_lossy(&shown),
            r#"{"protocolVersion":"2025-03-26","capabilities":{"tools":{"x":1}},"serverInfo":{"name":"s"},"instructions":"i","extra":1}"#
        );
    }

    #[test]
    fn says_what_a_server_did_wrong() {
        let check = |json: &str, expect: &str| {
            let error = InitializeResult::parse(json.as_bytes()).expect_err(json);
            assert!(error.contains(expect), "{error}");
        };
        check("[]", "is not an object");
        check("{}", "has no protocolVersion");
        check(r#"{"protocolVersion":"1.0","capabilities":{}}"#, "\"1.0\"");
        check(r#"{"protocolVersion":"2025-11-25"}"#, "has no capabilities");
    }
}
