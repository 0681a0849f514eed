//! Names with wildcards, as operators write them: `*` stands for any text, also none, and `?` for one character. Case
//! matters, and there is nothing to escape. Matching needs no memory, and time in proportion to both lengths.

use alloc::{string::String, vec::Vec};

use crate::config::{Configured, Fault, Value};

/// One name with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Takes any text: there is no wrong one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a name fits.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut here, mut at) = (0, 0);
        // Where to go on when something after the last `*` does not fit: the `*` takes one character more. An earlier
        // `*` need never take more, which is why this does not explode.
        let mut retry = None;
        while at < name.len() {
            match pattern.get(here) {
                Some(b'*') if here + 1 == pattern.len() => return true,
                Some(b'*') => {
                    here += 1;
                    retry = Some((here, at));
                }
                Some(b'?') => (here, at) = (here + 1, at + width(name[at])),
                Some(byte) if *byte == name[at] => (here, at) = (here + 1, at + 1),
                _ => {
                    let Some((after_star, taken)) = retry else {
                        return false;
                    };
                    at = taken + width(name[taken]);
                    here = after_star;
                    retry = Some((after_star, at));
                }
            }
        }
        pattern[here..].iter().all(|byte| *byte == b'*')
    }
}

impl Configured for Glob {
    fn read(value: Value) -> Result<Self, Fault> {
        String::read(value).map(Self)
    }
}

/// Returns the length of the UTF-8 character that begins with a byte.
fn width(first: u8) -> usize {
    match first {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    }
}

/// Several names with wildcards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globs(Vec<Glob>);

impl Globs {
    /// Returns the first that fits a name.
    pub fn find(&self, name: &str) -> Option<&Glob> {
        self.0.iter().find(|glob| glob.matches(name))
    }

    /// Tells whether one of them fits a name.
    pub fn matches(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Configured for Globs {
    fn read(value: Value) -> Result<Self, Fault> {
        Vec::read(value).map(Self)
    }
}

impl<T: Into<String>> FromIterator<T> for Globs {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self(texts.into_iter().map(Glob::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_text_and_for_one_character() {
        for (pattern, fits, fits_not) in [
            ("read", "read", "reads"),
            ("read_*", "read_", "read"),
            ("*_read", "a_read", "a_reads"),
            ("a*b*c", "a-b-b-c", "a-c-b"),
            ("*../*", "x/../y", "x/..y"),
            ("r??d", "read", "rea"),
            ("*a?c", "abcaxc", "aacb"),
            ("?", "é", "ab"),
            ("*é?", "xéé", "xe"),
            ("", "", "a"),
            ("**", "anything", "\u{0}"),
        ] {
            assert!(Glob::new(pattern).matches(fits), "{pattern} {fits}");
            if pattern != "**" {
                assert!(!Glob::new(pattern).matches(fits_not), "{pattern} {fits_not}");
            }
        }
        assert!(Glob::new("*").matches(""));
    }

    /// Against the definition, on all short patterns and names.
    #[test]
    fn agrees_with_the_obvious_recursion() {
        fn obvious(pattern: &[char], name: &[char]) -> bool {
            match (pattern, name) {
                ([], []) => true,
                (['*', rest @ ..], _) => (0..=name.len()).any(|taken| obvious(rest, &name[taken..])),
                (['?', pattern @ ..], [_, name @ ..]) => obvious(pattern, name),
                ([a, pattern @ ..], [b, name @ ..]) => a == b && obvious(pattern, name),
                _ => false,
            }
        }
        fn texts(letters: &[char], len_max: usize) -> Vec<Vec<char>> {
            let mut all = alloc::vec![Vec::new()];
            let mut from = 0;
            for _ in 0..len_max {
                let to = all.len();
                for index in from..to {
                    for letter in letters {
                        let mut longer: Vec<char> = all[index].clone();
                        longer.push(*letter);
                        all.push(longer);
                    }
                }
                from = to;
            }
            all
        }
        for pattern in texts(&['a', 'é', '*', '?'], 5) {
            let glob = Glob::new(pattern.iter().collect::<String>());
            for name in texts(&['a', 'é'], 5) {
                let text: String = name.iter().collect();
                assert_eq!(glob.matches(&text), obvious(&pattern, &name), "{glob:?} {text}");
            }
        }
    }

    #[test]
    fn a_hostile_name_costs_no_more_than_the_product_of_the_lengths() {
        let glob = Glob::new("*a".repeat(50) + "b");
        assert!(!glob.matches(&"a".repeat(50_000)));
    }
}
