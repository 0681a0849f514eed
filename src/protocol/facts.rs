//! What a server says of itself when a conversation opens, in either era, and how the other era would say it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::modern::meta::SERVER_INFO;
use super::version::{Era, ProtocolVersion};

/// The members of a discovery that `initialize` does not have.
const OF_DISCOVERY: [&str; 4] = ["resultType", "supportedVersions", "ttlMs", "cacheScope"];
/// Capabilities of the handshake era that mean nothing without it.
const OF_HANDSHAKE: [&str; 1] = ["tasks"];

/// The result of `initialize` or of `server/discover`, with every field the server sent.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    fields: Map<String, Value>,
    version: ProtocolVersion,
}

impl ServerFacts {
    /// Reads the result of `initialize` (2025-11-25, "Lifecycle").
    ///
    /// # Errors
    /// A sentence that says what the server did wrong.
    pub fn of_initialize(json: &[u8]) -> Result<Self, String> {
        let fields = object("initialize", json)?;
        let Some(Value::String(text)) = fields.get("protocolVersion") else {
            return Err("the result of initialize has no protocolVersion".to_owned());
        };
        let Some(version) = ProtocolVersion::parse(text) else {
            let known = ProtocolVersion::HANDSHAKE.map(ProtocolVersion::as_str);
            return Err(format!(
                "the server speaks protocol version {text:?}; known are {}",
                known.join(", ")
            ));
        };
        check_capabilities("initialize", &fields)?;
        Ok(Self { fields, version })
    }

    /// Reads the result of `server/discover` (2026-07-28, "Discovery").
    ///
    /// # Errors
    /// A sentence that says what the server did wrong, or that it speaks no version that the gateway knows.
    pub fn of_discovery(json: &[u8]) -> Result<Self, String> {
        let fields = object("server/discover", json)?;
        let Some(Value::Array(supported)) = fields.get("supportedVersions") else {
            return Err("the result of server/discover has no supportedVersions".to_owned());
        };
        let supported: Vec<&str> = supported.iter().filter_map(Value::as_str).collect();
        let newest_first = ProtocolVersion::MODERN.into_iter().rev();
        let common = newest_first
            .into_iter()
            .find(|version| supported.contains(&version.as_str()));
        let Some(version) = common else {
            let known = ProtocolVersion::MODERN.map(ProtocolVersion::as_str);
            return Err(format!(
                "the server discovers protocol versions {}; known are {}",
                supported.join(", "),
                known.join(", ")
            ));
        };
        check_capabilities("server/discover", &fields)?;
        Ok(Self { fields, version })
    }

    /// Returns the version that is spoken with the server.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// Returns the era in which it is spoken with.
    pub fn era(&self) -> Era {
        self.version.era()
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
        match self.era() {
            Era::Handshake => self.fields.get("serverInfo"),
            Era::Modern => self.fields.get("_meta")?.get(SERVER_INFO),
        }
    }

    /// Returns the result of `initialize` for a client that speaks `version` and must not see the capabilities named in
    /// `without`.
    pub fn initialize_result(&self, version: ProtocolVersion, without: &[&str]) -> Vec<u8> {
        let mut fields = self.fields.clone();
        if self.era() == Era::Modern {
            OF_DISCOVERY
                .iter()
                .for_each(|name| drop(fields.shift_remove(*name)));
            let info = self.server_info().cloned();
            let info = info.unwrap_or_else(|| json!({ "name": "unknown", "version": "unknown" }));
            if let Some(Value::Object(meta)) = fields.get_mut("_meta") {
                meta.shift_remove(SERVER_INFO);
                if meta.is_empty() {
                    fields.shift_remove("_meta");
                }
            }
            fields.insert("serverInfo".to_owned(), info);
        }
        fields.insert("protocolVersion".to_owned(), version.as_str().into());
        written(fields, without)
    }

    /// Returns the result of `server/discover` for a client that must not see the capabilities named in `without`, so long
    /// after the server has said it.
    pub fn discover_result(&self, without: &[&str], age: Duration) -> Vec<u8> {
        let mut fields = self.fields.clone();
        if let Some(ttl) = fields.get_mut("ttlMs") {
            let passed = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            *ttl = ttl.as_u64().unwrap_or(0).saturating_sub(passed).into();
        }
        let mut without = without.to_vec();
        if self.era() == Era::Handshake {
            fields.shift_remove("protocolVersion");
            without.extend(OF_HANDSHAKE);
            if let Some(info) = fields.shift_remove("serverInfo") {
                let meta = fields.entry("_meta").or_insert_with(|| json!({}));
                if let Value::Object(meta) = meta {
                    meta.insert(SERVER_INFO.to_owned(), info);
                }
            }
            fields.insert("resultType".to_owned(), "complete".into());
            fields.insert("ttlMs".to_owned(), 0.into());
        }
        // What a client may see depends on who it is.
        if self.era() == Era::Handshake || !without.is_empty() {
            fields.insert("cacheScope".to_owned(), "private".into());
        }
        let spoken = ProtocolVersion::MODERN.map(ProtocolVersion::as_str);
        fields.insert("supportedVersions".to_owned(), json!(spoken));
        written(fields, &without)
    }
}

fn object(method: &str, json: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(json).map_err(|error| format!("the result of {method} is not an object: {error}"))
}

fn check_capabilities(method: &str, fields: &Map<String, Value>) -> Result<(), String> {
    match fields.get("capabilities") {
        Some(Value::Object(_)) => Ok(()),
        _ => Err(format!("the result of {method} has no capabilities")),
    }
}

fn written(mut fields: Map<String, Value>, without: &[&str]) -> Vec<u8> {
    if let Some(Value::Object(capabilities)) = fields.get_mut("capabilities") {
        without
            .iter()
            .for_each(|name| drop(capabilities.shift_remove(*name)));
    }
    serde_json::to_vec(&fields).expect("a JSON object is written to memory without errors")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIALIZED: &[u8] = br#"{"protocolVersion":"2025-11-25","capabilities":{"logging":{},"tools":{"x":1},"tasks":{}},"serverInfo":{"name":"s"},"instructions":"i","extra":1}"#;
    const DISCOVERED: &[u8] = br#"{"resultType":"complete","supportedVersions":["2026-07-28","2027-01-01"],"capabilities":{"tools":{}},"instructions":"i","ttlMs":5,"cacheScope":"public","extra":1,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"x":1}}"#;

    #[track_caller]
    fn check(result: &[u8], expect: &str) {
        assert_eq!(String::from_utf8_lossy(result), expect);
    }

    #[test]
    fn each_era_in_its_own_words() {
        let facts = ServerFacts::of_initialize(INITIALIZED).expect("valid");
        check(
            &facts.initialize_result(ProtocolVersion::V2025_03_26, &["logging"]),
            r#"{"protocolVersion":"2025-03-26","capabilities":{"tools":{"x":1},"tasks":{}},"serverInfo":{"name":"s"},"instructions":"i","extra":1}"#,
        );
        let facts = ServerFacts::of_discovery(DISCOVERED).expect("valid");
        check(
            &facts.discover_result(&[], Duration::ZERO),
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"instructions":"i","ttlMs":5,"cacheScope":"public","extra":1,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"x":1}}"#,
        );
        let cut: Value = serde_json::from_slice(&facts.discover_result(&["tools"], Duration::from_millis(3)))
            .expect("JSON");
        assert_eq!(
            (&cut["capabilities"], &cut["cacheScope"], &cut["ttlMs"]),
            (&json!({}), &json!("private"), &json!(2))
        );
        let late: Value =
            serde_json::from_slice(&facts.discover_result(&[], Duration::from_secs(1))).expect("JSON");
        assert_eq!(late["ttlMs"], 0);
    }

    #[test]
    fn each_era_in_the_words_of_the_other() {
        let facts = ServerFacts::of_initialize(INITIALIZED).expect("valid");
        let discovered: Value =
            serde_json::from_slice(&facts.discover_result(&["logging"], Duration::ZERO)).expect("JSON");
        assert_eq!(
            discovered,
            json!({
                "capabilities": { "tools": { "x": 1 } }, "instructions": "i", "extra": 1, "resultType": "complete",
                "ttlMs": 0, "cacheScope": "private", "supportedVersions": ["2026-07-28"],
                "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "s" } },
            })
        );
        let facts = ServerFacts::of_discovery(DISCOVERED).expect("valid");
        let initialized = facts.initialize_result(ProtocolVersion::V2025_11_25, &[]);
        let initialized: Value = serde_json::from_slice(&initialized).expect("JSON");
        assert_eq!(
            initialized,
            json!({
                "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": { "name": "s" },
                "instructions": "i", "extra": 1, "_meta": { "x": 1 },
            })
        );
    }

    #[test]
    fn says_what_a_server_did_wrong() {
        let check = |json: &str, expect: &str| {
            let error = ServerFacts::of_initialize(json.as_bytes()).expect_err(json);
            assert!(error.contains(expect), "{error}");
        };
        check("[]", "is not an object");
        check("{}", "has no protocolVersion");
        check(r#"{"protocolVersion":"1.0","capabilities":{}}"#, "\"1.0\"");
        check(r#"{"protocolVersion":"2025-11-25"}"#, "has no capabilities");
        let check = |json: &str, expect: &str| {
            let error = ServerFacts::of_discovery(json.as_bytes()).expect_err(json);
            assert!(error.contains(expect), "{error}");
        };
        check("{}", "has no supportedVersions");
        check(
            r#"{"supportedVersions":["2099-01-01"],"capabilities":{}}"#,
            "2099-01-01",
        );
        check(r#"{"supportedVersions":["2026-07-28"]}"#, "has no capabilities");
    }
}
