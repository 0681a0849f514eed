//! Regular expressions, as operators write them.

use alloc::format;
use alloc::string::String;

use kit::config::{Configured, Fault, Value};
use kit::quoted;

use crate::regex::{Regex, Template};

/// A regular expression. It fits anywhere in a text unless it says `^` and `$`.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Tells whether it fits somewhere.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Reads what takes the place of what fits: `$1` is what the first group has found.
    pub fn template(&self, text: &str) -> Template {
        self.0.template(text)
    }

    /// Replaces all that fits; none where nothing does.
    pub fn replace(&self, text: &str, with: &Template) -> Option<String> {
        self.0.replace_all(text, with)
    }
}

impl Configured for Pattern {
    fn read(value: Value) -> Result<Self, Fault> {
        let text = String::read(value)?;
        let wrong = |error| Fault::new(format!("{} is no regular expression: {error}", quoted(&text)));
        Regex::new(&text).map(Self).map_err(wrong)
    }
}
