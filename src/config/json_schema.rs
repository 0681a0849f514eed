//! The JSON Schema of a configuration file, made from the table of keys. Editors complete and check with
//! it; the gateway itself does not use it.

use serde_json::{Map, Value, json};

use super::keys::{Absent, Key, MODES, PLUGINS, PRINCIPAL, PRINCIPALS, ROUTES, SECTIONS, SERVERS, TOP};
use super::kind::Kind;
use super::plugin_keys::{PLUGIN, ROUTE};
use super::server_keys::{ALIASES, IDENTITY, SETTINGS};
use super::units::{format_duration, format_size};

/// Returns the schema. Keys are in the one spelling that the documentation uses.
pub fn json_schema() -> Value {
    let mut properties = properties(TOP);
    for (name, keys) in SECTIONS {
        properties.insert((*name).to_owned(), table(keys));
    }
    for (section, description, thing) in [
        (PRINCIPALS, "Clients with a token, by name.", table(PRINCIPAL)),
        (
            MODES,
            "What clients may use, by name; the plugins that receive it say how.",
            json!({"type": "object"}),
        ),
    ] {
        let named = json!({
            "description": description,
            "type": "object",
            "propertyNames": {"pattern": NAME_PATTERN},
            "additionalProperties": thing,
        });
        properties.insert(section.to_owned(), named);
    }
    for (section, things, thing) in [
        (PLUGINS, "plugins, in the order in which they judge", "plugin"),
        (SERVERS, "servers", "server"),
        (ROUTES, "routes: several servers behind one name", "route"),
    ] {
        properties.insert(section.to_owned(), table_or_list(things, thing));
    }
    properties.insert(
        "mcpServers".to_owned(),
        json!({"description": "Another name for `servers`.", "$ref": format!("#/properties/{SERVERS}")}),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Portcullis configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": {"server": server(), "plugin": table(PLUGIN), "route": table(ROUTE)},
    })
}

fn table_or_list(things: &str, thing: &str) -> Value {
    let reference = json!({"$ref": format!("#/$defs/{thing}")});
    json!({
        "description": format!("The {things}. A table keyed by name, or a list whose entries have a name."),
        "anyOf": [
            {"type": "object", "propertyNames": {"pattern": NAME_PATTERN}, "additionalProperties": reference},
            {"type": "array", "items": {"allOf": [reference, {"required": ["name"]}]}},
        ],
    })
}

const NAME_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";

/// A server's keys come in camelCase too, as other clients' files write them.
fn server() -> Value {
    let keys = [IDENTITY, SETTINGS].concat();
    let mut server = table(&keys);
    let properties = server["properties"]
        .as_object_mut()
        .expect("a table has properties");
    for key in keys.iter().filter(|key| key.name.contains('-')) {
        properties.insert(camel(key.name), property(key));
    }
    properties.insert(
        "disabled".to_owned(),
        json!({"description": "The opposite of `enabled`.", "type": "boolean"}),
    );
    for (alias, key) in ALIASES {
        properties.insert(
            (*alias).to_owned(),
            json!({"description": format!("Another name for `{key}`."), "type": "string", "minLength": 1}),
        );
    }
    let either = ["command", "url", "serverUrl", "httpUrl"];
    server["anyOf"] = either.iter().map(|key| json!({"required": [key]})).collect();
    server
}

/// Writes `display-name` as `displayName`.
fn camel(key: &str) -> String {
    let mut words = key.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        camel + &initial.to_ascii_uppercase() + rest
    })
}

fn table(keys: &[Key]) -> Value {
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.absent == Absent::Refused)
        .map(|key| key.name)
        .collect();
    let mut table = json!({"type": "object", "properties": properties(keys), "additionalProperties": false});
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

fn properties(keys: &[Key]) -> Map<String, Value> {
    keys.iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect()
}

fn property(key: &Key) -> Value {
    let mut description = key.doc.to_owned();
    if let Some(bounds) = bounds(key.kind) {
        description.push_str(&format!(" {bounds}."));
    }
    if let Absent::Means(meaning) = key.absent {
        description.push_str(&format!(" If absent: {meaning}."));
    }
    let mut property = Map::from_iter([("description".to_owned(), description.into())]);
    if let Value::Object(constraints) = constraints(key.kind) {
        property.extend(constraints);
    }
    Value::Object(property)
}

/// Says the limits that a schema of a text cannot.
fn bounds(kind: Kind) -> Option<String> {
    match kind {
        Kind::Duration(min, max) => Some(format!(
            "From {} to {}",
            format_duration(min),
            format_duration(max)
        )),
        Kind::DurationOrNever(max) => Some(format!("Up to {}, or never", format_duration(max))),
        Kind::Size(min, max) => Some(format!("From {} to {}", format_size(min), format_size(max))),
        _ => None,
    }
}

fn constraints(kind: Kind) -> Value {
    const DURATION: &str = "^[0-9]+ *(ms|s|m|h|d)?$";
    const DURATION_OR_NEVER: &str = "^([0-9]+ *(ms|s|m|h|d)?|never)$";
    const SIZE: &str = "^[0-9]+ *([KkMmGg][Ii]?[Bb]|[Bb])?$";
    let list = |items: Value| json!({"type": "array", "items": items});
    match kind {
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Count(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Kind::Duration(..) => json!({"type": ["string", "number"], "pattern": DURATION, "minimum": 0}),
        Kind::DurationOrNever(_) => {
            json!({"type": ["string", "number"], "pattern": DURATION_OR_NEVER, "minimum": 0})
        }
        Kind::Size(min, max) => {
            json!({"type": ["string", "integer"], "pattern": SIZE, "minimum": min, "maximum": max})
        }
        Kind::Text | Kind::Path | Kind::LogFilter | Kind::Template | Kind::Url | Kind::Secret => {
            json!({"type": "string", "minLength": 1})
        }
        Kind::Segment => json!({"type": "string", "pattern": "^[A-Za-z0-9._~-]+$"}),
        Kind::Address => json!({"type": "string", "pattern": "^(\\[.+\\]|[0-9.]+):[0-9]+$"}),
        Kind::Choice(names) => json!({"enum": names}),
        Kind::Choices(names) => list(json!({"enum": names})),
        Kind::Hosts | Kind::Origins | Kind::VariableNames => list(json!({"type": "string", "minLength": 1})),
        Kind::Templates => list(json!({"type": "string"})),
        Kind::TemplateTable | Kind::HeaderTable | Kind::TextTable => {
            json!({"type": "object", "additionalProperties": {"type": "string"}})
        }
        Kind::Names => list(json!({"type": "string", "pattern": NAME_PATTERN})),
        Kind::HeaderNames => list(json!({"type": "string", "minLength": 1})),
        Kind::PublicKeys => list(json!({"type": "string", "pattern": "^ed25519:[A-Za-z0-9+/]{43}=$"})),
        Kind::Digest => json!({"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"}),
        Kind::Table(keys) => table(keys),
        Kind::Entries(keys) => list(json!({"anyOf": [table(keys), {"type": "string"}]})),
        Kind::Free => json!({"type": "object"}),
    }
}
