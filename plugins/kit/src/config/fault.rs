//! What is wrong with a configuration.

use alloc::format;
use alloc::string::{String, ToString};

use crate::quote::quoted;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    place: String,
    problem: String,
}

impl Fault {
    /// Says what is wrong; the place comes by itself.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            problem: problem.into(),
        }
    }

    /// Returns the sentence for the operator.
    pub(super) fn into_text(self) -> String {
        let place = self.place.strip_prefix('.').unwrap_or(&self.place);
        match place {
            "" => format!("the configuration {}", self.problem),
            _ => format!("{place}: {}", self.problem),
        }
    }

    pub(super) fn in_member(mut self, key: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let key = if !key.is_empty() && key.bytes().all(is_plain) {
            key.to_string()
        } else {
            quoted(key)
        };
        self.place = format!(".{key}{}", self.place);
        self
    }

    pub(super) fn in_element(mut self, index: usize) -> Self {
        self.place = format!("[{index}]{}", self.place);
        self
    }
}
