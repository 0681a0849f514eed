//! The arguments of a tool call, read leniently enough for a person who tries things out by hand.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// An argument is missing or of the wrong type. The text names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadArgument(pub(crate) String);

/// Arguments by name. No arguments at all are the same as an empty object.
#[derive(Debug, Default)]
pub(crate) struct Arguments(Map<String, Value>);

impl Arguments {
    pub(crate) fn parse(raw: Option<&RawValue>) -> Result<Self, BadArgument> {
        let Some(raw) = raw else {
            return Ok(Self::default());
        };
        serde_json::from_str(raw.get())
            .map(Self)
            .map_err(|_| BadArgument("arguments must be an object".to_owned()))
    }

    /// Returns a text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&str, BadArgument> {
        self.optional_text(name)?
            .ok_or_else(|| BadArgument(format!("{name} (a string) is required")))
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&str>, BadArgument> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BadArgument(format!("{name} must be a string"))),
        }
    }

    /// Returns a whole number of at least 0 and at most `max`, `default` if it is not there.
    pub(crate) fn number(&self, name: &str, default: u64, max: u64) -> Result<u64, BadArgument> {
        let Some(value) = self.0.get(name) else {
            return Ok(default);
        };
        value
            .as_u64()
            .filter(|number| *number <= max)
            .ok_or_else(|| BadArgument(format!("{name} must be a whole number from 0 to {max}")))
    }

    /// Tells whether a switch is on; it is off if it is not there.
    pub(crate) fn is_on(&self, name: &str) -> Result<bool, BadArgument> {
        match self.0.get(name) {
            None => Ok(false),
            Some(Value::Bool(on)) => Ok(*on),
            Some(_) => Err(BadArgument(format!("{name} must be true or false"))),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_argument_is_named() {
        let raw: Box<RawValue> = serde_json::from_str(r#"{"ms":-1,"text":7,"on":true,"bytes":11}"#).unwrap();
        let arguments = Arguments::parse(Some(&raw)).unwrap();
        assert!(
            arguments
                .number("ms", 0, 10)
                .unwrap_err()
                .0
                .starts_with("ms must")
        );
        assert!(arguments.number("bytes", 0, 10).is_err());
        assert_eq!(arguments.number("bytes", 0, 11), Ok(11));
        assert_eq!(arguments.number("none", 5, 10), Ok(5));
        assert_eq!(arguments.text("text").unwrap_err().0, "text must be a string");
        assert_eq!(
            arguments.text("none").unwrap_err().0,
            "none (a string) is required"
        );
        assert_eq!(arguments.is_on("on"), Ok(true));
    }
}
