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

/// A parameter that a method needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Where it is in the message.
    pub pointer: &'static str,
    shape: Shape,
}

const fn needs(pointer: &'static str, shape: Shape) -> Requirement {
    Requirement { pointer, shape }
}

/// Methods, and what they need.
const REQUIRED: &[(&str, &[Requirement])] = &[
    (
        "initialize",
        &[
            needs("/params/protocolVersion", Shape::Text),
            needs("/params/capabilities", Shape::Composite),
            needs("/params/clientInfo/name", Shape::Text),
            needs("/params/clientInfo/version", Shape::Text),
        ],
    ),
    ("tools/call", &[needs("/params/name", Shape::Text)]),
    ("prompts/get", &[needs("/params/name", Shape::Text)]),
    ("resources/read", &[needs("/params/uri", Shape::Text)]),
    ("resources/subscribe", &[needs("/params/uri", Shape::Text)]),
    ("resources/unsubscribe", &[needs("/params/uri", Shape::Text)]),
    (
        "completion/complete",
        &[
            needs("/params/ref/type", Shape::Text),
            needs("/params/argument/name", Shape::Text),
            needs("/params/argument/value", Shape::Text),
        ],
    ),
    ("logging/setLevel", &[needs("/params/level", Shape::Level)]),
    (
        "subscriptions/listen",
        &[needs("/params/notifications", Shape::Composite)],
    ),
    ("tasks/get", &[needs("/params/taskId", Shape::Text)]),
    ("tasks/result", &[needs("/params/taskId", Shape::Text)]),
    ("tasks/update", &[needs("/params/taskId", Shape::Text)]),
    ("tasks/cancel", &[needs("/params/taskId", Shape::Text)]),
    (
        "sampling/createMessage",
        &[
            needs("/params/messages", Shape::Composite),
            needs("/params/maxTokens", Shape::Number),
        ],
    ),
    ("elicitation/create", &[needs("/params/message", Shape::Text)]),
    (
        "notifications/progress",
        &[
            needs("/params/progressToken", Shape::Token),
            needs("/params/progress", Shape::Number),
        ],
    ),
    ("notifications/message", &[needs("/params/level", Shape::Level)]),
    (
        "notifications/resources/updated",
        &[needs("/params/uri", Shape::Text)],
    ),
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

/// Returns what a method requires; nothing where MCP does not know it.
pub fn required(method: &str) -> &'static [Requirement] {
    let found = REQUIRED.iter().find(|(name, _)| *name == method);
    found.map_or(&[], |(_, requirements)| requirements)
}

impl Requirement {
    /// Tells whether a value is what is required.
    pub fn is_met_by(&self, value: Option<&Value>) -> bool {
        match (self.shape, value) {
            (Shape::Level, Some(Value::Text(level))) => LEVELS.contains(&level.as_str()),
            (Shape::Text | Shape::Token, Some(Value::Text(_)))
            | (Shape::Number | Shape::Token, Some(Value::Number(_)))
            | (Shape::Composite, Some(Value::Composite)) => true,
            _ => false,
        }
    }

    /// Returns what has to be there.
    pub fn shape(&self) -> &'static str {
        match self.shape {
            Shape::Text => "a string",
            Shape::Number => "a number",
            Shape::Token => "a string or a number",
            Shape::Composite => "an object or an array",
            Shape::Level => "a level of the log",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_requires_has_to_be_there_and_of_its_kind() {
        let text = |text: &str| Some(Value::Text(text.to_owned()));
        for (method, index, value, is_met) in [
            ("tools/call", 0, text("x"), true),
            ("tools/call", 0, None, false),
            ("tools/call", 0, Some(Value::Number(1.0)), false),
            ("logging/setLevel", 0, text("debug"), true),
            ("logging/setLevel", 0, text("loud"), false),
            ("notifications/progress", 0, text("t"), true),
            ("notifications/progress", 0, Some(Value::Number(1.0)), true),
            ("notifications/progress", 1, Some(Value::Null), false),
            ("initialize", 1, Some(Value::Composite), true),
            ("initialize", 1, Some(Value::Boolean(true)), false),
        ] {
            let requirement = &required(method)[index];
            assert_eq!(
                requirement.is_met_by(value.as_ref()),
                is_met,
                "{method} {value:?}"
            );
        }
        assert_eq!(required("vendor/own"), []);
    }
}
