//! Regular expressions, in time in proportion to the text whatever the expression. They take less than half the room of
//! `regex-lite` and all that it brings along, among it the standard library, which was half of the plugin. Texts and
//! expressions are Unicode; `\d`, `\s`, `\w`, `\b` and `(?i)` know ASCII only.
//!
//! The syntax is that of `regex-lite`, all of it: `.`, `[a-z]`, `[[:alpha:]]`, `\d \s \w`, `\x41`, `^ $ \A \z \b \B`, `a|b`,
//! groups with and without names, `* + ? {2,3}` greedy or with `?` lazy, and the flags `i m s x R U`. No look-around, no
//! back-references, no `\p{..}`: none of them has a bound. Of several ways to fit, the one wins that comes first in the
//! expression. The tests hold every answer against that of `regex-lite`.
//!
//! [`syntax`] reads an expression into a [`Program`](program::Program), which [`machine`] runs.

mod class;
mod look;
mod machine;
mod program;
mod syntax;
mod template;

use alloc::string::String;

use machine::{Machine, Spans};
use program::Program;
pub use template::Template;

/// An expression that can be matched.
#[derive(Debug, Clone)]
pub struct Regex(Program);

impl Regex {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(expression: &str) -> Result<Self, &'static str> {
        syntax::read(expression).map(Self)
    }

    /// Tells whether it fits somewhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        let candidate = self.0.candidate(text, 0);
        candidate.is_some_and(|at| Machine::new(&self.0, text, Spans::None).search(at))
    }

    /// Reads what takes the place of what is found, where `$1` and `${name}` are what a group has found, and `$$` is `$`. What
    /// no group is called is empty.
    pub fn template(&self, text: &str) -> Template {
        Template::new(text, &self.0)
    }

    /// Replaces all that fits, from the left; none where nothing does.
    pub fn replace_all(&self, text: &str, with: &Template) -> Option<String> {
        let mut from = self.0.candidate(text, 0)?;
        let spans = if with.names_groups() {
            Spans::All
        } else {
            Spans::Whole
        };
        let mut machine = Machine::new(&self.0, text, spans);
        let mut replaced = None;
        let (mut kept, mut last_end) = (0, None);
        while machine.search(from) {
            let (start, end) = machine.span(0)?;
            if start == end && last_end == Some(end) {
                // Nothing, right after something: that has been seen, so on with the next character.
                let next = text.get(from..).and_then(|rest| rest.chars().next());
                from += next.map_or(1, char::len_utf8);
                last_end = None;
                continue;
            }
            let replaced = replaced.get_or_insert_with(String::new);
            replaced.push_str(text.get(kept..start).unwrap_or_default());
            with.write(&machine, replaced);
            (kept, from, last_end) = (end, end, Some(end));
        }
        let mut replaced = replaced?;
        replaced.push_str(text.get(kept..).unwrap_or_default());
        Some(replaced)
    }
}

#[cfg(test)]
mod tests;
