//! Text that must not be shown: secrets, and texts whose variables were filled in.

use std::fmt;

use serde_json::Value;
use subtle::ConstantTimeEq;

use super::expand::only_variable;

/// A text that no log, error or answer shows.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What stands for a text that is not shown.
pub(super) const HIDDEN: &str = "***";

/// Returns how a secret's template is shown: which variable it is, if it is nothing else.
pub(super) fn shown_secret(template: &str) -> &str {
    only_variable(template).map_or(HIDDEN, |_| template)
}

/// Compares in constant time for texts of one length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HIDDEN)
    }
}

/// A text in which `${VAR}` was filled in. Everything that prints it prints the template.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    template: String,
    value: String,
}

impl Expanded {
    /// A text that contains no variables: template and value are the same.
    pub fn literal(text: impl Into<String>) -> Self {
        let template = text.into();
        Self {
            value: template.clone(),
            template,
        }
    }

    /// A template and what it became.
    pub(super) fn new(template: impl Into<String>, value: String) -> Self {
        Self {
            template: template.into(),
            value,
        }
    }

    /// Returns the text as it may be shown: variables by name.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Returns the text with its variables filled in. It may hold secrets.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Expanded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.template, formatter)
    }
}

impl fmt::Display for Expanded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.template)
    }
}

impl serde::Serialize for Expanded {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.template)
    }
}

/// A JSON value in whose texts `${VAR}` was filled in. Everything that prints it prints the template.
#[derive(Clone, PartialEq)]
pub struct ExpandedJson {
    template: Value,
    value: Value,
}

impl ExpandedJson {
    /// A value that contains no variables: template and value are the same.
    pub fn literal(value: Value) -> Self {
        Self {
            template: value.clone(),
            value,
        }
    }

    /// A template and what it became.
    pub(super) fn new(template: Value, value: Value) -> Self {
        Self { template, value }
    }

    /// Returns the value as it may be shown: variables by name.
    pub fn template(&self) -> &Value {
        &self.template
    }

    /// Returns the value with its variables filled in. It may hold secrets.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

impl fmt::Debug for ExpandedJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.template, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(secret.expose(), "hunter2");
        assert_ne!(secret, Secret::new("hunter3"));
    }

    #[test]
    fn nothing_prints_the_value_of_a_variable() {
        let text = Expanded::new("Bearer ${KEY}", "Bearer hunter2".to_owned());
        assert_eq!(format!("{text} {text:?}"), "Bearer ${KEY} \"Bearer ${KEY}\"");
        assert_eq!(serde_json::json!(text), serde_json::json!("Bearer ${KEY}"));
        assert_eq!(text.value(), "Bearer hunter2");
        let json = ExpandedJson::new(
            serde_json::json!({"key": "${KEY}"}),
            serde_json::json!({"key": "hunter2"}),
        );
        assert_eq!(format!("{json:?}"), r#"{"key":"${KEY}"}"#);
    }
}
