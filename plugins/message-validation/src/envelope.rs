//! The parameters that MCP requires of its methods, in every version in which a method exists. The gateway has made sure
//! of JSON-RPC itself: its version, the id, that parameters are an object, that no key stands twice.

use crate::message::Value;

/// What a parameter has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    /// A text or a number.
    Token,
    /// An object or an array.
    Composite,
    /// One of the levels of the log.
    Level,
}

/// Methods, and what they need.
const REQUIRED: &[(&str, &[(&str, Shape)])] = &[
    (
        "initialize",
        &[
            ("/params/protocolVersion", Shape::Text),
            ("/params/capabilities", Shape::Composite),
            ("/params/clientInfo/name", Shape::Text),
            ("/params/clientInfo/version", Shape::Text),
        ],
    ),
    ("tools/call", &[("/params/name", Shape::Text)]),
    ("prompts/get", &[("/params/name", Shape::Text)]),
    ("resources/read", &[("/params/uri", Shape::Text)]),
    ("resources/subscribe", &[("/params/uri", Shape::Text)]),
    ("resources/unsubscribe", &[("/params/uri", Shape::Text)]),
    (
        "completion/complete",
        &[
            ("/params/ref/type", Shape::Text),
            ("/params/argument/name", Shape::Text),
            ("/params/argument/value", Shape::Text),
        ],
    ),
    ("logging/setLevel", &[("/params/level", Shape::Level)]),
    (
        "subscriptions/listen",
        &[("/params/notifications", Shape::Composite)],
    ),
    ("tasks/get", &[("/params/taskId", Shape::Text)]),
    ("tasks/result", &[("/params/taskId", Shape::Text)]),
    ("tasks/update", &[("/params/taskId", Shape::Text)]),
    ("tasks/cancel", &[("/params/taskId", Shape::Text)]),
    (
        "sampling/createMessage",
        &[
            ("/params/messages", Shape::Composite),
            ("/params/maxTokens", Shape::Number),
        ],
    ),
    ("elicitation/create", &[("/params/message", Shape::Text)]),
    (
        "notifications/progress",
        &[
            ("/params/progressToken", Shape::Token),
            ("/params/progress", Shape::Number),
        ],
    ),
    ("notifications/message", &[("/params/level", Shape::Level)]),
    ("notifications/resources/updated", &[("/params/uri", Shape::Text)]),
];

/// The levels of the log, of RFC 5424.
const LEVELS: &[&str] = &[
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// Returns the pointers to what a method requires.
pub fn required(method: &str) -> Vec<&'static str> {
    rules(method).iter().map(|(pointer, _)| *pointer).collect()
}

/// Returns the first pointer whose value is not what a method requires, and what it has to be. The values are those at
/// the pointers that [`required`] returns.
pub fn problem(method: &str, values: &[Option<Value>]) -> Option<(&'static str, &'static str)> {
    let fits = |shape, value: &Option<Value>| value.as_ref().is_some_and(|value| shape_fits(shape, value));
    let mut judged = rules(method).iter().zip(values);
    let ((pointer, shape), _) = judged.find(|((_, shape), value)| !fits(*shape, value))?;
    Some((pointer, shape_name(*shape)))
}

fn rules(method: &str) -> &'static [(&'static str, Shape)] {
    let found = REQUIRED.iter().find(|(name, _)| *name == method);
    found.map_or(&[], |(_, rules)| rules)
}

fn shape_fits(shape: Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Text | Shape::Token, Value::Text(_)) => true,
        (Shape::Number | Shape::Token, Value::Number(_)) => true,
        (Shape::Composite, Value::Composite) => true,
        (Shape::Level, Value::Text(level)) => LEVELS.contains(&level.as_str()),
        _ => false,
    }
}

fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Text => "a string",
        Shape::Number => "a number",
        Shape::Token => "a string or a number",
        Shape::Composite => "an object or an array",
        Shape::Level => "a level of the log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_requires_has_to_be_there_and_of_its_kind() {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        for (method, values, expected) in [
            ("tools/call", vec![text("x")], None),
            ("tools/call", vec![None], Some(("/params/name", "a string"))),
            (
                "tools/call",
                vec![Some(Value::Number(1.0))],
                Some(("/params/name", "a string")),
            ),
            ("logging/setLevel", vec![text("debug")], None),
            (
                "logging/setLevel",
                vec![text("loud")],
                Some(("/params/level", "a level of the log")),
            ),
            (
                "notifications/progress",
                vec![text("t"), Some(Value::Number(1.0))],
                None,
            ),
            (
                "notifications/progress",
                vec![text("t"), Some(Value::Null)],
                Some(("/params/progress", "a number")),
            ),
            ("vendor/own", vec![], None),
        ] {
            assert_eq!(problem(method, &values), expected, "{method} {values:?}");
        }
    }

    #[test]
    fn there_is_a_value_for_each_pointer() {
        assert_eq!(required("resources/read"), ["/params/uri"]);
        assert!(required("vendor/own").is_empty());
    }
}
