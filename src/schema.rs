//! Compiled JSON Schema validators by the digest of their schema: the only room that knows `jsonschema`.
//!
//! Servers and plugins supply the schemas. No reference is ever fetched (the crate is built without resolvers), the text of
//! a schema is bounded, and so are the validators kept. A check can take as long as its schema likes: where that matters,
//! [`SchemaCache::problems_until`].

mod checks;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tracing::debug;

use self::checks::Checks;
pub use self::checks::Unchecked;

/// A schema longer than this is not compiled, in bytes.
const SCHEMA_MAX: usize = 1024 * 1024;
/// Validators kept, and bytes of their schemas; beyond either all are forgotten and compiled anew as needed.
const VALIDATORS_MAX: usize = 4096;
const VALIDATORS_BYTES_MAX: usize = 16 * SCHEMA_MAX;
/// Longest text of one problem, in bytes: the library repeats the value.
const PROBLEM_MAX: usize = 512;
/// What is checked where the caller is: so many values of the schema, times bytes of the instance. Milliseconds.
const STEPS_MAX_HERE: usize = 1 << 20;

/// The library recurses, and the threads and guests that call it have little stack: what goes deeper than so many levels
/// of schema and instance gets a stack of its own ...
const LEVELS_MAX_HERE: usize = 256;
/// ... of so many bytes ...
const STACK: usize = 256 << 20;
/// ... and what goes deeper than this is refused.
const LEVELS_MAX: usize = 50_000;

type Digest32 = [u8; 32];

/// The validators. A std mutex: held for look-ups; schemas compile outside of it.
#[derive(Debug, Default)]
pub struct SchemaCache {
    validators: Mutex<Validators>,
    checks: Checks,
}

#[derive(Debug, Default)]
struct Validators {
    by_digest: HashMap<Digest32, Option<Arc<Compiled>>>,
    /// Of the schemas' texts.
    bytes: usize,
}

#[derive(Debug)]
struct Compiled {
    validator: Validator,
    /// How many values its schema has; `None` if what it costs does not follow from that.
    values: Option<usize>,
    /// How deep a check can go for each level of the instance: all references behind one another.
    levels: usize,
    /// How many places there are in it if each reference is what it refers to, where that can be said.
    expanded: Option<usize>,
}

/// A schema cannot be compiled, or what it should be compared with is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the schema cannot be used")]
pub struct Unusable;

impl SchemaCache {
    /// Checks an instance against a schema, both JSON texts; returns at most so many problems, each with its place.
    ///
    /// # Errors
    /// The schema, or the instance, cannot be used.
    pub fn problems(&self, schema: &str, instance: &str, max: usize) -> Result<Vec<String>, Unusable> {
        let compiled = self.validator(schema).ok_or(Unusable)?;
        compiled.problems(instance, max)
    }

    fn validator(&self, schema: &str) -> Option<Arc<Compiled>> {
        let digest = digest(schema);
        if let Some(known) = self.known(&digest) {
            return known;
        }
        let compiled = compile(schema)
            .map_err(|error| debug!(error = shortened(&error), "a JSON Schema cannot be used"))
            .ok();
        let mut validators = self.validators();
        let is_full = validators.by_digest.len() >= VALIDATORS_MAX
            || validators.bytes.saturating_add(schema.len()) > VALIDATORS_BYTES_MAX;
        if is_full {
            *validators = Validators::default();
        }
        validators.bytes += schema.len();
        validators.by_digest.insert(digest, compiled.clone());
        compiled
    }

    /// Returns what is known of a schema: its validator, or that it cannot be used.
    fn known(&self, digest: &Digest32) -> Option<Option<Arc<Compiled>>> {
        self.validators().by_digest.get(digest).cloned()
    }

    fn validators(&self) -> MutexGuard<'_, Validators> {
        self.validators.lock().expect("no holder panics")
    }
}

/// Most errors that a check may gather, by what schema and value could give.
const ERRORS_MAX: usize = 1 << 20;

/// What is said of a value where it would take too long to say where it does not fit.
const MISFIT: &str = "it does not fit; the schema is too large to say where";

fn digest(schema: &str) -> Digest32 {
    Sha256::digest(schema).into()
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(PROBLEM_MAX)]
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
        Ok(Self {
            validator,
            values: is_plain(schema).then(|| count(schema)),
            expanded: with_stack(levels, || expanded(schema, schema, &mut BTreeMap::new())).flatten(),
            levels,
        })
    }

    /// Returns whether a check of an instance surely takes no longer than is right where the caller is.
    fn is_quick_for(&self, length: usize) -> bool {
        let steps = self.values.map(|values| values.saturating_mul(length));
        steps.is_some_and(|steps| steps <= STEPS_MAX_HERE)
    }

    fn problems(&self, text: &str, max: usize) -> Result<Vec<String>, Unusable> {
        let instance: Value = serde_json::from_str(text).map_err(|_| Unusable)?;
        let told = |error: ValidationError<'_>| {
            [shortened(&format!("{}: {error}", error.instance_path())).to_owned()]
        };
        let problems = self.check(&instance, max, format!(": {MISFIT}"), told);
        problems.ok_or(Unusable)
    }

    /// Returns at most so many things that are wrong with an instance; `None` if it goes too deep. The validator gathers
    /// all of them before it shows the first: where they may be more than memory should hold, it has to do that something
    /// is wrong.
    fn check<T: Send, I: IntoIterator<Item = T>>(
        &self,
        instance: &Value,
        max: usize,
        whole: T,
        told: impl Fn(ValidationError<'_>) -> I + Send,
    ) -> Option<Vec<T>> {
        let levels = self.levels.saturating_mul(depth(instance));
        let errors_max = self.expanded.map(|places| places.saturating_mul(count(instance)));
        let is_gathered = errors_max.is_some_and(|most| most <= ERRORS_MAX);
        with_stack(levels, move || match is_gathered {
            true => {
                let errors = self.validator.iter_errors(instance);
                errors.flat_map(told).take(max).collect()
            }
            false if self.validator.is_valid(instance) => Vec::new(),
            false => vec![whole],
        })
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

/// Returns whether a schema has nothing whose cost does not follow from its size: references, patterns, and what looks again
/// at what others have looked at. A property of such a name counts, too.
fn is_plain(schema: &Value) -> bool {
    const DEAR: [&str; 8] = [
        "$ref",
        "$dynamicRef",
        "$recursiveRef",
        "pattern",
        "patternProperties",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    ];
    match schema {
        Value::Array(elements) => elements.iter().all(is_plain),
        Value::Object(members) => {
            let is_dear = |key: &String| DEAR.contains(&key.as_str());
            !members.keys().any(is_dear) && members.values().all(is_plain)
        }
        _ => true,
    }
}

/// Returns how many places there are in a schema if each reference is what it refers to; `None` where that has no end, or
/// is not in the schema itself. `known` are the pointers seen so far, those under way as `None`.
fn expanded<'a>(
    value: &'a Value,
    root: &'a Value,
    known: &mut BTreeMap<&'a str, Option<usize>>,
) -> Option<usize> {
    let mut places = 1_usize;
    match value {
        Value::Array(elements) => {
            for element in elements {
                places = places.saturating_add(expanded(element, root, known)?);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                places = places.saturating_add(match (key.as_str(), member) {
                    ("$ref", Value::String(reference)) => referred(reference, root, known)?,
                    ("$dynamicRef" | "$recursiveRef", Value::String(_)) => return None,
                    _ => expanded(member, root, known)?,
                });
            }
        }
        _ => {}
    }
    Some(places)
}

fn referred<'a>(
    reference: &'a str,
    root: &'a Value,
    known: &mut BTreeMap<&'a str, Option<usize>>,
) -> Option<usize> {
    let pointer = reference.strip_prefix('#')?;
    if let Some(places) = known.get(pointer) {
        return *places;
    }
    let target = root.pointer(pointer)?;
    known.insert(pointer, None);
    let places = expanded(target, root, known)?;
    known.insert(pointer, Some(places));
    Some(places)
}

/// Returns how many values there are in a value, with itself.
fn count(value: &Value) -> usize {
    let inside: usize = match value {
        Value::Array(elements) => elements.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    };
    inside + 1
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
    let whole = Fault {
        pointer: String::new(),
        message: MISFIT.to_owned(),
    };
    let told = |error: ValidationError<'_>| faults_of(value, &error);
    let faults = compiled.check(value, max, whole, told);
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
        let problems = |instance| cache.problems(schema, instance, 9).expect("a check");
        assert!(problems(r#"{"n":1}"#).is_empty());
        let [problem] = &problems(r#"{"n":"x"}"#)[..] else {
            panic!("one problem")
        };
        assert!(problem.starts_with("/n: "), "{problem}");
        assert!(problems("{}")[0].contains("required"));
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
    fn a_schema_that_cannot_be_used_is_told_from_one_that_fits() {
        let cache = SchemaCache::default();
        for schema in [
            "1",
            r#"{"type":"nonsense"}"#,
            r#"{"$ref":"https://example.invalid/x"}"#,
        ] {
            assert_eq!(cache.problems(schema, "{}", 9), Err(Unusable), "{schema}");
        }
    }

    #[test]
    fn a_problem_is_told_in_few_words_and_few_validators_are_kept() {
        let cache = SchemaCache::default();
        let long = format!("\"{}\"", "é".repeat(10_000));
        let problems = cache.problems(r#"{"type":"object"}"#, &long, 16);
        let problems = problems.expect("a check");
        assert!(problems[0].len() <= PROBLEM_MAX, "{}", problems[0].len());
        let large = |n: usize| format!(r#"{{"title":"{n}{}"}}"#, "x".repeat(SCHEMA_MAX - 100));
        for n in 0..20 {
            cache.problems(&large(n), "1", 1).expect("a check");
            let validators = cache.validators();
            assert!(validators.bytes <= VALIDATORS_BYTES_MAX, "{}", validators.bytes);
        }
        assert!(cache.validators().by_digest.len() < 20);
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
