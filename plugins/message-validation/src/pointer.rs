//! Pointers with wildcards, to the arguments in a message.

use alloc::format;
use alloc::string::String;

use kit::config::{self, Configured, Fault};
use kit::quoted;

/// Where arguments are in a message.
const ARGUMENTS: &str = "/params/arguments";

/// An RFC 6901 pointer, from the arguments of a tool or prompt. The token `*` stands for any member or element, `**` at the
/// end for everything below.
#[derive(Debug, Clone)]
pub struct Pointer {
    /// From the root of the message.
    whole: String,
    /// How much of it comes before the first wildcard.
    base_len: usize,
}

impl Pointer {
    /// Returns the pointer into the message; of a wide one, what comes before the first wildcard.
    pub fn base(&self) -> &str {
        self.whole.get(..self.base_len).unwrap_or_default()
    }

    /// Tells whether it has wildcards, so that it stands for any number of values.
    pub fn is_wide(&self) -> bool {
        self.base_len < self.whole.len()
    }

    /// Tells whether it stands for everything below.
    pub fn is_deep(&self) -> bool {
        self.whole.ends_with("/**")
    }

    /// Tells whether it stands for a pointer into the message.
    pub fn covers(&self, pointer: &str) -> bool {
        let mut tokens = pointer.split('/');
        for wanted in self.whole.split('/') {
            match (wanted, tokens.next()) {
                ("**", token) => return token.is_some(),
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

impl Configured for Pointer {
    fn read(value: config::Value) -> Result<Self, Fault> {
        let text = String::read(value)?;
        if !text.is_empty() && !text.starts_with('/') {
            let wanted = quoted(&format!("/{text}"));
            return Err(Fault::new(format!(
                "{} is no pointer: write {wanted}",
                quoted(&text)
            )));
        }
        let whole = format!("{ARGUMENTS}{text}");
        let is_wildcard = |token: &&str| matches!(*token, "*" | "**");
        let narrow = whole.split('/').take_while(|token| !is_wildcard(token));
        // Each token comes with its slash, but for the empty one at the beginning.
        let base_len = narrow.map(|token| token.len() + 1).sum::<usize>() - 1;
        let mut tokens = whole.split('/');
        if tokens.any(|token| token == "**") && tokens.next().is_some() {
            let problem = format!("{} is no pointer: ** stands at the end", quoted(&text));
            return Err(Fault::new(problem));
        }
        Ok(Self { whole, base_len })
    }
}

/// Returns a pointer into the message as one from the arguments, for those who read about it.
pub fn from_arguments(pointer: &str) -> &str {
    pointer.strip_prefix(ARGUMENTS).unwrap_or(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Pointer, Fault> {
        Pointer::read(config::Value::Text(text.to_owned()))
    }

    fn pointer(text: &str) -> Pointer {
        read(text).expect("a pointer")
    }

    #[test]
    fn wildcards_stand_for_tokens() {
        for (text, base, covered, not_covered) in [
            ("/paths/*", "/params/arguments/paths", "/paths/0", "/paths/0/x"),
            ("/*/path", "/params/arguments", "/a/path", "/a/b/path"),
            ("/**", "/params/arguments", "/a/0/b", ""),
            ("/a/**", "/params/arguments/a", "/a/b", "/b/a"),
            ("/a/*/**", "/params/arguments/a", "/a/b/c", "/a/b"),
        ] {
            let pointer = pointer(text);
            assert!(pointer.is_wide(), "{text}");
            assert_eq!(pointer.is_deep(), text.ends_with("**"), "{text}");
            assert_eq!(pointer.base(), base);
            assert!(
                pointer.covers(&format!("{ARGUMENTS}{covered}")),
                "{text} {covered}"
            );
            assert!(
                !pointer.covers(&format!("{ARGUMENTS}{not_covered}")),
                "{text} {not_covered}"
            );
        }
    }

    #[test]
    fn a_narrow_pointer_is_taken_as_it_is() {
        for text in ["", "/a/b", "/", "/a~1b//c", "/a*", "/***"] {
            let pointer = pointer(text);
            assert!(!pointer.is_wide(), "{text}");
            assert_eq!(pointer.base(), format!("{ARGUMENTS}{text}"));
            assert_eq!(from_arguments(pointer.base()), text);
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["path", "/a/**/b"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
