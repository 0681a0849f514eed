//! Which values of a request are mirrored in headers (2026-07-28, "Standard Headers", "Custom Headers").

use serde_json::{Map, Value};
use thiserror::Error;

use crate::protocol::names::method;

/// The annotation in a tool's input schema that names the header of an argument.
pub const ANNOTATION: &str = "x-mcp-header";
/// Schemas are walked so deep; what is deeper no client can reach by a sensible argument.
const DEPTH_MAX: usize = 32;

/// Returns the member of `params` that `Mcp-Name` mirrors for a method; `None` where there is no such header.
pub fn named_by(method: &str) -> Option<&'static str> {
    match method {
        method::TOOLS_CALL | method::PROMPTS_GET => Some("name"),
        method::READ => Some("uri"),
        method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => Some("taskId"),
        _ => None,
    }
}

/// An argument of a tool that a header mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// The header's name in lower case, with its prefix.
    pub header: String,
    /// The keys that lead from the arguments to the value.
    pub path: Vec<String>,
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
    let mut found = Vec::new();
    walk(schema, &mut Vec::new(), true, &mut found)?;
    Ok(found)
}

/// Returns what a header says of an argument; `None` where there must be none.
///
/// `null` and what is missing have no header, nor has what is neither a string, an integer nor a boolean.
pub fn header_text(arguments: &Value, path: &[String]) -> Option<String> {
    match argument(arguments, path)? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Returns an argument, if it is there.
pub fn argument<'a>(arguments: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(arguments, |value, key| value.get(key))
}

/// Returns whether a decoded header says the same as an argument of the body: numbers, and nothing else, are compared as
/// numbers.
pub fn agrees(header: &str, argument: &Value) -> bool {
    match argument {
        Value::String(text) => header == text,
        Value::Bool(is) => header == is.to_string(),
        Value::Number(number) => is_number(header, &number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn is_number(header: &str, number: &str) -> bool {
    if let (Ok(header), Ok(number)) = (header.parse::<i128>(), number.parse::<i128>()) {
        return header == number;
    }
    // Beyond it several whole numbers are the same one here.
    let exact = |number: f64| number.abs() < 9_007_199_254_740_992.0;
    let parsed = (header.parse::<f64>(), number.parse::<f64>());
    header == number || matches!(parsed, (Ok(header), Ok(number)) if header == number && exact(number))
}

fn walk(
    schema: &Value,
    path: &mut Vec<String>,
    is_static: bool,
    found: &mut Vec<Mirrored>,
) -> Result<(), AnnotationError> {
    let Value::Object(members) = schema else {
        return Ok(());
    };
    if path.len() > DEPTH_MAX {
        return Ok(());
    }
    if let Some(name) = members.get(ANNOTATION) {
        found.push(annotated(name, members, path, is_static, found)?);
    }
    for (key, value) in members {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, property) in properties {
                    path.push(name.clone());
                    walk(property, path, is_static, found)?;
                    path.pop();
                }
            }
            // An example or a default may hold anything; it is no schema.
            (ANNOTATION | "const" | "default" | "enum" | "examples", _) => {}
            (_, Value::Array(schemas)) => {
                for schema in schemas {
                    path.push(key.clone());
                    walk(schema, path, false, found)?;
                    path.pop();
                }
            }
            (_, Value::Object(_)) => {
                path.push(key.clone());
                walk(value, path, false, found)?;
                path.pop();
            }
            _ => {}
        }
    }
    Ok(())
}

fn annotated(
    name: &Value,
    schema: &Map<String, Value>,
    path: &[String],
    is_static: bool,
    found: &[Mirrored],
) -> Result<Mirrored, AnnotationError> {
    let wrong = |what| AnnotationError {
        place: path.join("/"),
        what,
    };
    let Value::String(name) = name else {
        return Err(wrong("it must be a string"));
    };
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(wrong("it must be the name of a header"));
    }
    if !is_static || path.is_empty() {
        return Err(wrong(
            "only properties that are reached by properties alone can be mirrored",
        ));
    }
    let is_simple = matches!(schema.get("type"), Some(Value::String(kind)) if ["string", "integer", "boolean"].contains(&kind.as_str()));
    if !is_simple {
        return Err(wrong("only a string, an integer or a boolean can be mirrored"));
    }
    let header = format!(
        "{}{}",
        crate::protocol::names::header::PARAM_PREFIX,
        name.to_ascii_lowercase()
    );
    if found.iter().any(|other| other.header == header) {
        return Err(wrong("another property has the same header"));
    }
    Ok(Mirrored {
        header,
        path: path.to_vec(),
    })
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
        assert_eq!(header_text(&arguments, &mirrored[0].path).as_deref(), Some("us"));
        assert_eq!(header_text(&arguments, &mirrored[1].path).as_deref(), Some("42"));
        assert_eq!(header_text(&json!({ "region": null }), &mirrored[0].path), None);
        assert!(agrees("42.0", &json!(42)) && agrees("42", &json!(42)) && agrees("true", &json!(true)));
        assert!(!agrees("42.0", &json!("42")), "a text is no number");
        let large = json!(9_007_199_254_740_993_i64);
        assert!(agrees("9007199254740993", &large));
        assert!(!agrees("9007199254740992", &large) && !agrees("9007199254740992.0", &large));
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
