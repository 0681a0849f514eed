//! Compiled JSON Schema validators by the digest of their schema: the only room that knows `jsonschema`.
//!
//! Servers supply the schemas. No reference is ever fetched (the crate is built without resolvers), the text of a
//! schema is bounded, and so is the number of validators kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ErrorIterator, ValidationError, Validator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::warn;

/// A schema longer than this is not compiled, in bytes.
const SCHEMA_MAX: usize = 1024 * 1024;
/// Validators kept; beyond that all are forgotten and compiled anew as needed.
const VALIDATORS_MAX: usize = 4096;

/// The library recurses, and the threads and guests that call it have little stack: what goes deeper than so many levels
/// of schema and instance gets a stack of its own ...
const LEVELS_MAX_HERE: usize = 256;
/// ... of so many bytes ...
const STACK: usize = 256 << 20;
/// ... and what goes deeper than this is refused.
const LEVELS_MAX: usize = 50_000;

/// The validators. A std mutex: held for look-ups; schemas compile outside of it.
#[derive(Debug, Default)]
pub struct SchemaCache {
    validators: Mutex<HashMap<[u8; 32], Option<Arc<Compiled>>>>,
}

#[derive(Debug)]
struct Compiled {
    validator: Validator,
    /// How deep a check can go for each level of the instance: all references behind one another.
    levels: usize,
}

/// A schema cannot be compiled, or what it should be compared with is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the schema cannot be used")]
pub struct Unusable;

impl SchemaCache {
    /// Checks an instance against a schema, both JSON texts; returns the first problem, with its place. A schema that
    /// cannot be used lets everything pass: it is the server's, which checks for itself.
    pub fn check(&self, schema: &str, instance: &str) -> Option<String> {
        let problems = self.problems(schema, instance, 1).ok()?;
        let problem = problems.first()?;
        Some(format!("arguments{problem}"))
    }

    /// Checks an instance against a schema, both JSON texts; returns at most so many problems, each with its place.
    ///
    /// # Errors
    /// The schema, or the instance, cannot be used.
    pub fn problems(&self, schema: &str, instance: &str, max: usize) -> Result<Vec<String>, Unusable> {
        let compiled = self.validator(schema).ok_or(Unusable)?;
        let instance: Value = serde_json::from_str(instance).map_err(|_| Unusable)?;
        let problems = compiled.read(&instance, |errors| {
            errors
                .take(max)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect()
        });
        problems.ok_or(Unusable)
    }

    fn validator(&self, schema: &str) -> Option<Arc<Compiled>> {
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

fn compile(schema: &str) -> Result<Arc<Compiled>, String> {
    if schema.len() > SCHEMA_MAX {
        return Err(format!("it has {} bytes", schema.len()));
    }
    let schema: Value = serde_json::from_str(schema).map_err(|error| error.to_string())?;
    Compiled::of(&schema).map(Arc::new)
}

impl Compiled {
    fn of(schema: &Value) -> Result<Self, String> {
        let linear = jsonschema::PatternOptions::regex();
        let options = jsonschema::options().with_pattern_options(linear);
        let levels = (references(schema) + 1).saturating_mul(depth(schema));
        let built = with_stack(levels, || {
            options.build(schema).map_err(|error| error.to_string())
        });
        let validator = built.ok_or_else(|| "it has too many references".to_owned())??;
        Ok(Self { validator, levels })
    }

    /// Reads the errors of an instance; `None` if it goes too deep.
    fn read<T: Send>(&self, instance: &Value, read: impl FnOnce(ErrorIterator<'_>) -> T + Send) -> Option<T> {
        let levels = self.levels.saturating_mul(depth(instance));
        with_stack(levels, || read(self.validator.iter_errors(instance)))
    }
}

/// Runs what may recurse so deep; `None` if that is too deep.
fn with_stack<T: Send>(levels: usize, run: impl FnOnce() -> T + Send) -> Option<T> {
    if levels <= LEVELS_MAX_HERE {
        return Some(run());
    }
    if levels > LEVELS_MAX {
        return None;
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("schema".to_owned())
            .stack_size(STACK);
        thread.spawn_scoped(scope, run).ok()?.join().ok()
    })
}

/// Returns how many objects and arrays are inside one another; 1 for a value that is neither.
fn depth(value: &Value) -> usize {
    let inside = match value {
        Value::Array(elements) => elements.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 1,
    };
    inside.unwrap_or_default() + 1
}

fn references(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(references).sum(),
        Value::Object(members) => {
            let own = ["$ref", "$dynamicRef", "$recursiveRef"];
            let own = own.iter().filter(|key| members.contains_key(**key)).count();
            own + members.values().map(references).sum::<usize>()
        }
        _ => 0,
    }
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
    let compiled = Compiled::of(schema)?;
    let faults = compiled.read(value, |errors| {
        let faults = errors.flat_map(|error| faults_of(value, &error));
        faults.take(max).collect()
    });
    faults.ok_or_else(|| "it has too many references for so deep a value".to_owned())
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

    /// Runs something with as little stack as a guest's host functions have.
    fn on_a_small_stack(run: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(400 << 10);
            let thread = thread.spawn_scoped(scope, run).expect("a thread");
            thread.join().expect("no panic");
        });
    }

    /// Returns a schema of so many references behind one another, which begins again for each `a` of the instance.
    fn chain(hops: usize) -> String {
        let hop = |n: usize| format!(r##""d{n}":{{"$ref":"#/$defs/d{}"}}"##, n + 1);
        let hops: Vec<_> = (0..hops).map(hop).collect();
        let last = format!(
            r##""d{}":{{"properties":{{"a":{{"$ref":"#/$defs/d0"}}}}}}"##,
            hops.len()
        );
        format!(
            r##"{{"$defs":{{{},{last}}},"$ref":"#/$defs/d0"}}"##,
            hops.join(",")
        )
    }

    #[test]
    fn schemas_that_go_round_or_deep_do_not_use_up_the_stack() {
        let round = r##"{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##;
        let nested = format!("{}{{}}{}", r#"{"allOf":["#.repeat(60), "]}".repeat(60));
        let deep = format!("{}1{}", r#"{"a":"#.repeat(120), "}".repeat(120));
        on_a_small_stack(|| {
            let cache = SchemaCache::default();
            for (schema, instance, expected) in [
                (round.to_owned(), "{}", Ok(Vec::new())),
                (nested, "{}", Ok(Vec::new())),
                (chain(60), deep.as_str(), Ok(Vec::new())),
                (chain(2000), "{}", Ok(Vec::new())),
                (chain(2000), deep.as_str(), Err(Unusable)),
                (chain(20_000), "{}", Err(Unusable)),
            ] {
                assert_eq!(
                    cache.problems(&schema, instance, 16),
                    expected,
                    "{} bytes",
                    schema.len()
                );
            }
        });
    }
}
