//! Rules for the arguments of tools and prompts.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use kit::Glob;
use kit::config::{self, Configured, Fault};

use crate::message::{Circumstances, Value};
use crate::pattern::Pattern;
use crate::pointer::{Pointer, from_arguments};

/// A rule for the values at a pointer.
#[derive(Debug)]
pub struct ArgumentRule {
    /// Whom it is for; absent: any.
    tool: Option<Glob>,
    prompt: Option<Glob>,
    server: Option<Glob>,
    mode: Option<Glob>,
    pointer: Pointer,
    required: bool,
    pattern: Option<Pattern>,
    deny_pattern: Option<Pattern>,
    max_length: Option<u32>,
    min: Option<Limit>,
    max: Option<Limit>,
    one_of: Option<Vec<Value>>,
    deny: Vec<Denied>,
    /// What the client reads in the place of our own words.
    message: Option<String>,
}

/// A number, with decimals to the sixth in words: printing any double exactly would be a tenth of the plugin.
#[derive(Debug, Clone, Copy)]
struct Limit(f64);

impl fmt::Display for Limit {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "who writes greater limits reads smaller ones"
    )]
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PARTS: i64 = 1_000_000;
        let parts = (self.0.abs() * PARTS as f64 + 0.5) as i64;
        let sign = if self.0 < 0.0 { "-" } else { "" };
        write!(formatter, "{sign}{}", parts / PARTS)?;
        let (mut decimals, mut width) = (parts % PARTS, 6);
        if decimals == 0 {
            return Ok(());
        }
        while decimals % 10 == 0 {
            (decimals, width) = (decimals / 10, width - 1);
        }
        write!(formatter, ".{decimals:0width$}")
    }
}

/// What a value must not be: a text with wildcards, or any other value.
#[derive(Debug)]
enum Denied {
    Text(Glob),
    Other(Value),
}

impl Configured for ArgumentRule {
    fn read(value: config::Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                tool: members.optional("tool"),
                prompt: members.optional("prompt"),
                server: members.optional("server"),
                mode: members.optional("mode"),
                pointer: members.required("pointer")?,
                required: members.or_default("required"),
                pattern: members.optional("pattern"),
                deny_pattern: members.optional("deny-pattern"),
                max_length: members.optional("max-length"),
                min: members.optional("min"),
                max: members.optional("max"),
                one_of: members.optional("one-of"),
                deny: members.or_default("deny"),
                message: members.optional("message"),
            })
        })
    }
}

impl Configured for Limit {
    fn read(value: config::Value) -> Result<Self, Fault> {
        f64::read(value).map(Self)
    }
}

impl Configured for Denied {
    fn read(value: config::Value) -> Result<Self, Fault> {
        Value::read(value).map(|value| match value {
            Value::Text(text) => Self::Text(Glob::new(text)),
            other => Self::Other(other),
        })
    }
}

impl ArgumentRule {
    /// Tells whether the rule is for a message. One for a server is for all that have not been given a server yet: a
    /// route would otherwise be a way around it.
    pub fn applies(&self, call: &Circumstances) -> bool {
        let name = match call.method {
            "tools/call" if self.prompt.is_none() => &self.tool,
            "prompts/get" if self.tool.is_none() => &self.prompt,
            _ => return false,
        };
        let fits = |glob: &Option<Glob>, text: Option<&str>, unknown: bool| match (glob, text) {
            (Some(glob), Some(text)) => glob.matches(text),
            (Some(_), None) => unknown,
            (None, _) => true,
        };
        fits(name, call.target, true)
            && fits(&self.server, call.server, true)
            && fits(&self.mode, call.mode, false)
    }

    /// Returns where the values are.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Tells whether there has to be a value.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Returns what the client reads of a value that breaks the rule.
    pub fn message(&self, pointer: &str, problem: &str) -> String {
        let own_words = || format!("the argument {} {problem}", from_arguments(pointer));
        self.message.clone().unwrap_or_else(own_words)
    }

    /// Returns what is wrong with a value. A rule that cannot judge a value, such as a pattern an array, refuses it; but of
    /// all that is somewhere below, it judges only what it can.
    pub fn problem(&self, value: &Value) -> Option<String> {
        self.text_problem(value)
            .or_else(|| self.number_problem(value))
            .or_else(|| self.choice_problem(value))
    }

    fn text_problem(&self, value: &Value) -> Option<String> {
        if self.pattern.is_none() && self.deny_pattern.is_none() && self.max_length.is_none() {
            return None;
        }
        let Value::Text(text) = value else {
            return (!self.pointer.is_deep()).then(|| "has to be a string".to_owned());
        };
        let is_denied = self
            .deny_pattern
            .as_ref()
            .is_some_and(|pattern| pattern.matches(text));
        let is_fitting = self.pattern.as_ref().is_none_or(|pattern| pattern.matches(text));
        if is_denied || !is_fitting {
            return Some("is not allowed".to_owned());
        }
        // A text has no more characters than bytes: most need not be counted.
        let is_longer = |max: &u32| text.len() > *max as usize && text.chars().nth(*max as usize).is_some();
        let max = self.max_length.filter(is_longer)?;
        Some(format!("is longer than {max} characters"))
    }

    fn number_problem(&self, value: &Value) -> Option<String> {
        if self.min.is_none() && self.max.is_none() {
            return None;
        }
        let Value::Number(number) = value else {
            return (!self.pointer.is_deep()).then(|| "has to be a number".to_owned());
        };
        if let Some(min) = self.min.filter(|min| *number < min.0) {
            return Some(format!("is less than {min}"));
        }
        let max = self.max.filter(|max| *number > max.0)?;
        Some(format!("is more than {max}"))
    }

    fn choice_problem(&self, value: &Value) -> Option<String> {
        if self.one_of.is_none() && self.deny.is_empty() {
            return None;
        }
        if *value == Value::Composite {
            return (!self.pointer.is_deep()).then(|| "has to be a plain value".to_owned());
        }
        let is_among = self.one_of.as_ref().is_none_or(|values| values.contains(value));
        let is_denied = self.deny.iter().any(|denied| match (denied, value) {
            (Denied::Text(glob), Value::Text(text)) => glob.matches(text),
            (Denied::Text(_), _) => false,
            (Denied::Other(denied), value) => denied == value,
        });
        (is_denied || !is_among).then(|| "is not allowed".to_owned())
    }
}

#[cfg(test)]
mod tests;
