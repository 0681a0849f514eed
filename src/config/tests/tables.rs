//! The table of keys, `default.toml` and `schema.json` say the same.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::super::json_schema;
use super::super::keys::{Absent, Key, SECTIONS, TOP};
use super::super::layers::DEFAULTS;

/// Returns the keys that a TOML file sets (`key = …`) or mentions (`#key = …`), with their section, and
/// whether each stands below a comment.
fn keys_of(text: &str) -> Vec<(String, bool, bool)> {
    let mut section = String::new();
    let mut previous_is_comment = false;
    let mut keys = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        }
        let (bare, is_set) = line.strip_prefix('#').map_or((line, true), |rest| (rest, false));
        let name = bare.split_once(" = ").map(|(name, _)| name);
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_key = |name: &&str| !name.is_empty() && name.chars().all(is_letter);
        match name.filter(is_key) {
            Some(name) => keys.push((format!("{section}{name}"), is_set, previous_is_comment)),
            None => previous_is_comment = line.starts_with("# "),
        }
        if name.filter(is_key).is_some() {
            previous_is_comment = false;
        }
    }
    keys
}

#[test]
fn the_default_file_names_exactly_the_keys_of_the_table_and_documents_each() {
    let table = |section: &str, keys: &[Key]| -> Vec<(String, bool)> {
        let prefix = if section.is_empty() {
            String::new()
        } else {
            format!("{section}.")
        };
        keys.iter()
            .map(|key| (format!("{prefix}{}", key.name), key.absent == Absent::Default))
            .collect()
    };
    let expect: BTreeSet<(String, bool)> = [("", TOP)]
        .iter()
        .chain(SECTIONS)
        .flat_map(|(section, keys)| table(section, keys))
        .collect();
    let found = keys_of(DEFAULTS);
    let names: BTreeSet<(String, bool)> = found
        .iter()
        .map(|(name, is_set, _)| (name.clone(), *is_set))
        .collect();
    assert_eq!(names, expect);
    assert_eq!(found.len(), expect.len(), "a key is named twice");
    let bare: Vec<&String> = found
        .iter()
        .filter(|(_, _, documented)| !documented)
        .map(|(name, ..)| name)
        .collect();
    assert!(bare.is_empty(), "no comment above {bare:?}");
}

#[test]
fn the_default_file_shows_every_key_of_a_server() {
    let identity = super::super::server_keys::IDENTITY.iter().map(|key| key.name);
    let missing: Vec<&str> = identity
        .filter(|name| *name != "name" && !DEFAULTS.contains(&format!("\n# {name} = ")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Regenerate with `PORTCULLIS_WRITE_SCHEMA=1 cargo test --release the_schema_is_current`.
#[test]
fn the_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json");
    let current = format!("{:#}\n", json_schema());
    if std::env::var_os("PORTCULLIS_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &current).expect("the source tree is writable");
    }
    let written = std::fs::read_to_string(&path).expect("config/schema.json is there");
    assert!(
        written == current,
        "config/schema.json is not what the table of keys says; the test's comment says how to write it"
    );
}

#[test]
fn the_schema_accepts_what_the_gateway_accepts() {
    let schema = jsonschema::validator_for(&json_schema()).expect("the schema is one");
    let accepts = |value: &Value| {
        let errors: Vec<String> = schema
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    };
    let refuses = |value: &Value| assert!(!schema.is_valid(value), "{value}");
    let toml = |text: &str| super::super::document::Format::Toml.parse(text).expect("TOML");
    accepts(&toml(DEFAULTS));
    accepts(&toml(include_str!("../../../config/example.toml")));
    accepts(&json!({"mcpServers": {"a": {"command": "x", "displayName": "A", "disabled": true}}}));
    accepts(&json!({"servers": [{"name": "a", "command": "x", "idleTimeout": "never"}]}));
    accepts(&json!({
        "modes": {"chat": {"anything": 1}},
        "plugins": [{"name": "a", "grant": {"kv": {"max-kib": 1}}, "config": {"x": 1}}],
        "routes": {"r": {"servers": ["a", {"server": "b", "weight": 1, "labels": {"x": "y"}}]}},
    }));
    refuses(&json!({"plugins": [{"timeout": "1s"}]}));
    refuses(&json!({"routes": {"r": {}}}));
    refuses(&json!({"servers": [{"command": "x"}]}));
    refuses(&json!({"servers": {"a": {}}}));
    refuses(&json!({"servers": {"a b": {"command": "x"}}}));
    refuses(&json!({"htpp": {}}));
    refuses(&json!({"http": {"body-max": "big"}}));
    refuses(&json!({"sessions": {"max": 0}}));
}
