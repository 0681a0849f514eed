//! Which methods a plugin wants to judge: `tools/call`, `resources/*`, `*/list`, `*`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern for JSON-RPC methods: a method, or the beginning or the end of one with `*` for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MethodPattern(Shape);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Any,
    Exact(Box<str>),
    Begins(Box<str>),
    Ends(Box<str>),
}

impl MethodPattern {
    /// Tells whether a method fits.
    pub fn matches(&self, method: &str) -> bool {
        match &self.0 {
            Shape::Any => true,
            Shape::Exact(whole) => **whole == *method,
            Shape::Begins(beginning) => method.starts_with(&**beginning),
            Shape::Ends(end) => method.ends_with(&**end),
        }
    }
}

impl TryFrom<String> for MethodPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shape = match (text.strip_suffix('*'), text.strip_prefix('*')) {
            _ if text == "*" => Shape::Any,
            (Some(beginning), None) => Shape::Begins(beginning.into()),
            (None, Some(end)) => Shape::Ends(end.into()),
            _ => Shape::Exact(text.as_str().into()),
        };
        match &shape {
            Shape::Exact(rest) | Shape::Begins(rest) | Shape::Ends(rest)
                if rest.is_empty() || rest.contains(['*', ' ']) =>
            {
                Err(format!(
                    "\"{text}\" is no pattern for methods: write a method (\"tools/call\"), its beginning \
                     (\"resources/*\"), its end (\"*/list\") or \"*\""
                ))
            }
            _ => Ok(Self(shape)),
        }
    }
}

impl From<MethodPattern> for String {
    fn from(pattern: MethodPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for MethodPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Shape::Any => formatter.write_str("*"),
            Shape::Exact(whole) => formatter.write_str(whole),
            Shape::Begins(beginning) => write!(formatter, "{beginning}*"),
            Shape::Ends(end) => write!(formatter, "*{end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> MethodPattern {
        MethodPattern::try_from(text.to_owned()).expect("a pattern")
    }

    #[test]
    fn patterns_match_whole_beginning_or_end() {
        for (text, fits, fits_not) in [
            ("tools/call", "tools/call", "tools/calls"),
            ("resources/*", "resources/templates/list", "resource/list"),
            ("*/list", "resources/templates/list", "list"),
            ("notifications/*", "notifications/initialized", "initialize"),
        ] {
            assert!(pattern(text).matches(fits), "{text} {fits}");
            assert!(!pattern(text).matches(fits_not), "{text} {fits_not}");
            assert_eq!(pattern(text).to_string(), text);
        }
        assert!(pattern("*").matches("anything") && pattern("*").matches(""));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_remedy() {
        for text in ["", "**", "a*b", "*a*", "tools /call"] {
            let error = MethodPattern::try_from(text.to_owned()).expect_err(text);
            assert!(error.contains("*/list"), "{error}");
        }
    }
}
