//! Which values of a request are mirrored in headers (2026-07-28, "Standard Headers", "Custom Headers").

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::protocol::Message;
use crate::protocol::member::string_member;
use crate::protocol::names::header::PARAM_PREFIX;
use crate::protocol::names::method;

/// The annotation in a tool's input schema that names the header of an argument.
pub const ANNOTATION: &str = "x-mcp-header";
/// Schemas are walked so deep; what is deeper no client can reach by a sensible argument.
const DEPTH_MAX: usize = 32;
/// Characters of a name in the place of an error.
const PLACE_MAX: usize = 64;

/// Returns the member of `params` that `Mcp-Name` mirrors for a method; `None` where there is no such header.
pub fn named_by(method: &str) -> Option<&'static str> {
    match method {
        method::TOOLS_CALL | method::PROMPTS_GET => Some("name"),
        method::READ => Some("uri"),
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => Some("taskId"),
        _ => None,
    }
}

/// Returns that member of a request's `params`, if it is a string.
pub fn name_of<'a>(request: &'a Message, key: &str) -> Option<Cow<'a, str>> {
    match key {
        "name" => request.name(),
        "uri" => request.uri(),
        _ => string_member(&request.params()?, key).map(Cow::Owned),
    }
}

/// An argument of a tool that a header mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// The header's name in lower case, with its prefix.
    pub header: String,
    /// The keys that lead from the arguments to the value.
    pub path: Vec<Arc<str>>,
}

impl Mirrored {
    /// Returns how many bytes its names have.
    pub fn bytes(&self) -> usize {
        self.header.len() + self.path.iter().map(|name| name.len()).sum::<usize>()
    }
}

/// An annotation that a client must not follow: its tool is not offered over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("x-mcp-header at {place:?}: {what}")]
pub struct AnnotationError {
    /// The property, from the root of the schema.
    pub place: String,
    /// What is wrong.
    pub what: &'static str,
}

/// Returns the arguments that headers mirror, by the input schema of a tool.
///
/// # Errors
/// An annotation breaks a rule of the specification.
pub fn mirrored(schema: &Value) -> Result<Vec<Mirrored>, AnnotationError> {
    let mut walk = Walk::default();
    walk.schema(schema, true)?;
    Ok(walk.found)
}

/// Returns the argument that a header mirrors; `None` where there must be no header.
///
/// `null` and what is missing have no header, nor has what is neither a string, an integer nor a boolean.
pub fn argument<'a>(arguments: &'a Value, path: &[Arc<str>]) -> Option<&'a Value> {
    let value = path.iter().try_fold(arguments, |value, key| value.get(&**key))?;
    matches!(value, Value::String(_) | Value::Bool(_) | Value::Number(_)).then_some(value)
}

/// Returns what a header says of an argument.
pub fn header_text(argument: &Value) -> String {
    match argument {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns whether a decoded header says the same as the body. An integer is compared as one, to its last digit; a string
/// is not, whatever it looks like.
pub fn agrees(header: &str, argument: &Value) -> bool {
    let body = header_text(argument);
    header == body
        || argument.is_number() && integer(header).is_some_and(|stated| Some(stated) == integer(&body))
}

/// Reads `42` and `42.0`.
fn integer(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    whole.parse().ok().filter(|_| is_whole)
}

/// A walk through a schema. What it finds is no larger than the schema: the names on the way are shared.
#[derive(Default)]
struct Walk {
    path: Vec<Arc<str>>,
    found: Vec<Mirrored>,
    headers: HashSet<String>,
}

impl Walk {
    fn schema(&mut self, schema: &Value, is_static: bool) -> Result<(), AnnotationError> {
        let Value::Object(members) = schema else {
            return Ok(());
        };
        if self.path.len() > DEPTH_MAX {
            return Ok(());
        }
        if let Some(name) = members.get(ANNOTATION) {
            self.annotation(name, members, is_static)?;
        }
        for (key, value) in members {
            match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    for (name, property) in properties {
                        self.below(name, property, is_static)?;
                    }
                }
                // An example or a default may hold anything; it is no schema.
                (ANNOTATION | "const" | "default" | "enum" | "examples", _) => {}
                (_, Value::Array(schemas)) => {
                    for schema in schemas {
                        self.below(key, schema, false)?;
                    }
                }
                (_, Value::Object(_)) => self.below(key, value, false)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn below(&mut self, name: &str, schema: &Value, is_static: bool) -> Result<(), AnnotationError> {
        if schema.is_object() {
            self.path.push(name.into());
            self.schema(schema, is_static)?;
            self.path.pop();
        }
        Ok(())
    }

    fn annotation(
        &mut self,
        name: &Value,
        schema: &Map<String, Value>,
        is_static: bool,
    ) -> Result<(), AnnotationError> {
        let Value::String(name) = name else {
            return self.wrong("it must be a string");
        };
        if name.is_empty() || !name.bytes().all(is_token) {
            return self.wrong("it must be the name of a header");
        }
        if !is_static || self.path.is_empty() {
            return self.wrong("only properties that are reached by properties alone can be mirrored");
        }
        let is_simple = matches!(schema.get("type"), Some(Value::String(kind)) if ["string", "integer", "boolean"].contains(&kind.as_str()));
        if !is_simple {
            return self.wrong("only a string, an integer or a boolean can be mirrored");
        }
        let header = format!("{PARAM_PREFIX}{}", name.to_ascii_lowercase());
        if !self.headers.insert(header.clone()) {
            return self.wrong("another property has the same header");
        }
        self.found.push(Mirrored {
            header,
            path: self.path.clone(),
        });
        Ok(())
    }

    fn wrong(&self, what: &'static str) -> Result<(), AnnotationError> {
        let place = self
            .path
            .iter()
            .map(|name| name.chars().take(PLACE_MAX).collect());
        let place = place.collect::<Vec<String>>().join("/");
        Err(AnnotationError { place, what })
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_is_annotated() {
        let schema = json!({ "type": "object", "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "deep": { "type": "object", "properties": { "count": { "type": "integer", "x-mcp-header": "Count" } } },
            "plain": { "type": "string", "default": { "x-mcp-header": "no schema" } },
        } });
        let mirrored = mirrored(&schema).expect("valid");
        let texts: Vec<_> = mirrored
            .iter()
            .map(|one| (one.header.as_str(), one.path.join("/")))
            .collect();
        assert_eq!(
            texts,
            [
                ("mcp-param-region", "region".to_owned()),
                ("mcp-param-count", "deep/count".to_owned())
            ]
        );
        let arguments = json!({ "region": "us", "deep": { "count": 42 } });
        let text =
            |arguments: &Value, index: usize| argument(arguments, &mirrored[index].path).map(header_text);
        assert_eq!(text(&arguments, 0).as_deref(), Some("us"));
        assert_eq!(text(&arguments, 1).as_deref(), Some("42"));
        assert_eq!(text(&json!({ "region": null }), 0), None);
    }

    #[test]
    fn integers_are_compared_as_such_and_nothing_else_is() {
        let check = |header: &str, argument: Value, expect| {
            assert_eq!(agrees(header, &argument), expect, "{header} {argument}");
        };
        check("42.0", json!(42), true);
        check("42", json!(42.0), true);
        check("-7", json!(-7), true);
        check("18446744073709551615", json!(u64::MAX), true);
        check("9007199254740993", json!(9_007_199_254_740_992_u64), false);
        check("42.", json!(42), false);
        check("42.5", json!(42), false);
        check("7", json!("007"), false);
        check("1000", json!("1e3"), false);
        check("007", json!("007"), true);
        check("true", json!(true), true);
        check("TRUE", json!(true), false);
    }

    #[test]
    fn a_schema_costs_no_more_than_its_size() {
        let name = "n".repeat(1 << 20);
        let property = |number: usize| {
            (
                format!("a{number}"),
                json!({ "type": "string", "x-mcp-header": format!("h{number}") }),
            )
        };
        let many: Map<String, Value> = (0..50_000).map(property).collect();
        let schema = json!({ "properties": { &name: { "properties": many } } });
        let mirrored = mirrored(&schema).expect("valid");
        assert_eq!(mirrored.len(), 50_000);
        assert!(Arc::ptr_eq(&mirrored[0].path[0], &mirrored[49_999].path[0]));
    }

    #[test]
    fn refuses_what_breaks_the_rules() {
        let check = |property: Value, expect: &str| {
            let schema = json!({ "properties": { "a": property } });
            let error = mirrored(&schema).expect_err(expect);
            assert!(error.what.contains(expect), "{error}");
        };
        check(
            json!({ "type": "number", "x-mcp-header": "A" }),
            "a string, an integer or a boolean",
        );
        check(
            json!({ "type": "string", "x-mcp-header": "" }),
            "name of a header",
        );
        check(
            json!({ "type": "string", "x-mcp-header": "a b" }),
            "name of a header",
        );
        check(json!({ "type": "string", "x-mcp-header": 1 }), "must be a string");
        let inside = json!({ "type": "string", "x-mcp-header": "A" });
        check(json!({ "type": "array", "items": inside }), "by properties alone");
        check(json!({ "anyOf": [inside] }), "by properties alone");
        let twice = json!({ "properties": { "a": inside, "b": { "type": "string", "x-mcp-header": "a" } } });
        assert!(mirrored(&twice).expect_err("twice").what.contains("same header"));
    }
}
