//! Compiled JSON Schema validators by the digest of their schema: the only room that knows `jsonschema`.
//!
//! Servers supply the schemas. No reference is ever fetched (the crate is built without resolvers), the text of a
//! schema is bounded, and so is the number of validators kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::warn;

/// A schema longer than this is not compiled, in bytes.
const SCHEMA_MAX: usize = 1024 * 1024;
/// Validators kept; beyond that all are forgotten and compiled anew as needed.
const VALIDATORS_MAX: usize = 4096;

/// The validators. A std mutex: held for look-ups; schemas compile outside of it.
#[derive(Debug, Default)]
pub struct SchemaCache {
    validators: Mutex<HashMap<[u8; 32], Option<Arc<Validator>>>>,
}

/// A schema cannot be compiled, or what it should be compared with is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the schema cannot be used")]
pub struct Unusable;

impl SchemaCache {
    /// Checks an instance against a schema, both JSON texts; returns the first problem, with its place. A schema that
    /// cannot be used lets everything pass: it is the server's, which checks for itself.
    pub fn check(&self, schema: &str, instance: &str) -> Option<String> {
        let validator = self.validator(schema)?;
        let instance: Value = serde_json::from_str(instance).ok()?;
        let error = validator.iter_errors(&instance).next()?;
        let place = error.instance_path().to_string();
        let place = if place.is_empty() {
            "arguments".to_owned()
        } else {
            format!("arguments{place}")
        };
        Some(format!("{place}: {error}"))
    }

    /// Checks an instance against a schema, both JSON texts; returns at most so many problems, each with its place.
    ///
    /// # Errors
    /// The schema, or the instance, cannot be used.
    pub fn problems(&self, schema: &str, instance: &str, max: usize) -> Result<Vec<String>, Unusable> {
        let validator = self.validator(schema).ok_or(Unusable)?;
        let instance: Value = serde_json::from_str(instance).map_err(|_| Unusable)?;
        let problems = validator.iter_errors(&instance).take(max);
        Ok(problems
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect())
    }

    fn validator(&self, schema: &str) -> Option<Arc<Validator>> {
        let digest: [u8; 32] = Sha256::digest(schema).into();
        if let Some(known) = self.validators.lock().expect("no holder panics").get(&digest) {
            return known.clone();
        }
        let compiled = compile(schema)
            .map_err(|error| warn!(error, "a tool's input schema cannot be used"))
            .ok();
        let mut validators = self.validators.lock().expect("no holder panics");
        if validators.len() >= VALIDATORS_MAX {
            validators.clear();
        }
        validators.insert(digest, compiled.clone());
        compiled
    }
}

fn compile(schema: &str) -> Result<Arc<Validator>, String> {
    if schema.len() > SCHEMA_MAX {
        return Err(format!("it has {} bytes", schema.len()));
    }
    let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    build(&schema).map(Arc::new)
}

fn build(schema: &Value) -> Result<Validator, String> {
    let linear = jsonschema::PatternOptions::regex();
    let options = jsonschema::options().with_pattern_options(linear);
    options.build(schema).map_err(|error| error.to_string())
}

/// One thing that is wrong with a value. It never repeats the value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: an RFC 6901 pointer.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

/// Checks a value against a schema; returns at most so many faults, those of unknown keys at the keys themselves.
///
/// # Errors
/// Why the schema cannot be used.
pub fn faults(schema: &Value, value: &Value, max: usize) -> Result<Vec<Fault>, String> {
    let validator = build(schema)?;
    let faults = validator
        .iter_errors(value)
        .flat_map(|error| faults_of(value, &error));
    Ok(faults.take(max).collect())
}

fn faults_of(value: &Value, error: &ValidationError<'_>) -> Vec<Fault> {
    let pointer = error.instance_path().as_str();
    let unknown = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected.clone(),
        // Where no key is known at all.
        ValidationErrorKind::FalseSchema
            if error.schema_path().as_str().ends_with("/additionalProperties") =>
        {
            let object = value.pointer(pointer).and_then(Value::as_object);
            object
                .into_iter()
                .flat_map(|object| object.keys().cloned())
                .collect()
        }
        _ => Vec::new(),
    };
    if unknown.is_empty() {
        return vec![Fault {
            pointer: pointer.to_owned(),
            message: error.masked().to_string(),
        }];
    }
    let fault = |key: String| Fault {
        pointer: format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        message: "is not known here".to_owned(),
    };
    unknown.into_iter().map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_place_of_a_problem() {
        let cache = SchemaCache::default();
        let schema = r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}"#;
        assert_eq!(cache.check(schema, r#"{"n":1}"#), None);
        let problem = cache.check(schema, r#"{"n":"x"}"#).expect("a problem");
        assert!(problem.starts_with("arguments/n: "), "{problem}");
        let problem = cache.check(schema, "{}").expect("a problem");
        assert!(problem.contains("required"), "{problem}");
    }

    #[test]
    fn faults_stand_where_they_are_and_keep_the_value_to_themselves() {
        let schema = serde_json::json!({
            "properties": { "n": { "type": "integer" } }, "required": ["m"], "additionalProperties": false,
        });
        let value = serde_json::json!({ "n": "hunter2", "a/b": 1 });
        let faults = faults(&schema, &value, 9).expect("a schema");
        let mut faults: Vec<String> = faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.pointer, fault.message))
            .collect();
        faults.sort_unstable();
        let expect = [
            "/a~1b: is not known here",
            "/n: value is not of type \"integer\"",
            ": \"m\" is a required property",
        ];
        assert_eq!(faults, expect);
        assert!(super::faults(&serde_json::json!({ "type": 1 }), &value, 9).is_err());
        let nothing = serde_json::json!({ "additionalProperties": false });
        let faults = super::faults(&nothing, &value, 9).expect("a schema");
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert_eq!(faults[0].pointer, "/n");
    }

    #[test]
    fn a_schema_that_cannot_be_used_lets_pass() {
        let cache = SchemaCache::default();
        for schema in [
            "1",
            r#"{"type":"nonsense"}"#,
            r#"{"$ref":"https://example.invalid/x"}"#,
        ] {
            assert_eq!(cache.check(schema, "{}"), None, "{schema}");
        }
    }
}
