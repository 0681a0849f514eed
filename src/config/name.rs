//! Names of servers and principals: short, printable, safe in a URL, a file name and a log line.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters a name may have.
pub const NAME_CHARACTERS_MAX: usize = 64;

/// A name: 1 to 64 of `A-Z a-z 0-9 . _ -`, not only dots. Cheap to clone. `Of` says of what, so that nobody takes one
/// for the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<Of>(Arc<str>, PhantomData<Of>);

/// The name of a registered server.
pub type ServerName = Name<OfServer>;

/// The name of a principal.
pub type PrincipalName = Name<OfPrincipal>;

/// Marks the names of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfServer {}

/// Marks the names of principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfPrincipal {}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text has no characters.
    #[error("a name must not be empty")]
    Empty,
    /// The text has more than [`NAME_CHARACTERS_MAX`] characters.
    #[error("a name has at most {NAME_CHARACTERS_MAX} characters, this one has {0}")]
    Long(usize),
    /// A character is outside the alphabet.
    #[error("a name is made of letters, digits, `.`, `_` and `-`; {0:?} is none of them")]
    Character(char),
    /// `.` and `..` mean directories in a URL and in a path.
    #[error("a name must not consist of dots alone")]
    Dots,
}

impl<Of> Name<Of> {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<Of> FromStr for Name<Of> {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_name(text).map(|()| Self(text.into(), PhantomData))
    }
}

impl<Of> fmt::Display for Name<Of> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl<Of> fmt::Debug for Name<Of> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl<Of> std::borrow::Borrow<str> for Name<Of> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<Of> serde::Serialize for Name<Of> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

pub(super) fn check_name(text: &str) -> Result<(), NameError> {
    let length = text.chars().count();
    if length == 0 {
        return Err(NameError::Empty);
    }
    if length > NAME_CHARACTERS_MAX {
        return Err(NameError::Long(length));
    }
    let odd = text
        .chars()
        .find(|character| !character.is_ascii_alphanumeric() && !"._-".contains(*character));
    if let Some(character) = odd {
        return Err(NameError::Character(character));
    }
    if text.chars().all(|character| character == '.') {
        return Err(NameError::Dots);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(), NameError>) {
        let read = text.parse::<ServerName>();
        assert_eq!(read.as_ref().map(Name::as_str), expect.as_ref().map(|()| text));
    }

    #[test]
    fn names() {
        check("a", Ok(()));
        check("brave-search_2.0", Ok(()));
        check(&"x".repeat(64), Ok(()));
        check(&"x".repeat(65), Err(NameError::Long(65)));
        check("", Err(NameError::Empty));
        check("a b", Err(NameError::Character(' ')));
        check("a/b", Err(NameError::Character('/')));
        check("bär", Err(NameError::Character('ä')));
        check("..", Err(NameError::Dots));
    }
}
