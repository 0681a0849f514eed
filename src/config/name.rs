//! Names of servers and principals: short, printable, safe in a URL, a file name and a log line.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most characters a name may have.
pub const NAME_CHARACTERS_MAX: usize = 64;

/// The name of a registered server: 1 to 64 of `A-Z a-z 0-9 . _ -`, not only dots. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Arc<str>);

/// The name of a principal, with the alphabet of [`ServerName`]. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalName(Arc<str>);

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

impl ServerName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PrincipalName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_name(text).map(|()| Self(text.into()))
    }
}

impl FromStr for PrincipalName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_name(text).map(|()| Self(text.into()))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl fmt::Debug for PrincipalName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl std::borrow::Borrow<str> for ServerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for PrincipalName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl serde::Serialize for ServerName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl serde::Serialize for PrincipalName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn check_name(text: &str) -> Result<(), NameError> {
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
        assert_eq!(
            text.parse::<ServerName>()
                .map(|name| assert_eq!(name.as_str(), text)),
            expect,
            "{text:?}"
        );
        assert_eq!(
            text.parse::<PrincipalName>()
                .map(|name| assert_eq!(name.as_str(), text)),
            expect,
            "{text:?}"
        );
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
