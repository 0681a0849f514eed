//! Regular expressions, as operators write them. Matching takes time in proportion to the text, whatever the expression.

use kit::config::{Configured, Fault, Value};
use kit::quoted;
use regex_lite::Regex;

/// A regular expression. It fits anywhere in a text unless it says `^` and `$`.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Tells whether it fits somewhere.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Replaces all that fits; none where nothing does. In `with`, `$1` is what the first group has found.
    pub fn replace(&self, text: &str, with: &str) -> Option<String> {
        match self.0.replace_all(text, with) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(replaced) => Some(replaced),
        }
    }
}

impl Configured for Pattern {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = String::read(value)?;
        let wrong = |error| Fault::new(format!("{} is no regular expression: {error}", quoted(&text)));
        Regex::new(&text).map(Self).map_err(wrong)
    }
}
