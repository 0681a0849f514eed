//! Conditions on a place between two characters.

/// What has to be before and after a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The beginning of the text, or its end.
    Start,
    End,
    /// The beginning of a line, or its end.
    LineStart,
    LineEnd,
    /// The same, where `\r\n` and `\r` end lines, too.
    CrlfStart,
    CrlfEnd,
    /// A word begins or ends, or neither.
    Boundary,
    NoBoundary,
    /// A word begins, or ends.
    WordStart,
    WordEnd,
    /// No word goes on before it, or after it.
    NoWordBefore,
    NoWordAfter,
}

impl Look {
    /// Tells whether it is so at a place in a text.
    pub(super) fn holds(self, text: &[u8], at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|index| text.get(index)).copied();
        let after = text.get(at).copied();
        let is_word =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let (in_word, goes_on) = (is_word(before), is_word(after));
        match self {
            Self::Start => before.is_none(),
            Self::End => after.is_none(),
            Self::LineStart => matches!(before, None | Some(b'\n')),
            Self::LineEnd => matches!(after, None | Some(b'\n')),
            Self::CrlfStart => match before {
                None | Some(b'\n') => true,
                Some(b'\r') => after != Some(b'\n'),
                Some(_) => false,
            },
            Self::CrlfEnd => match after {
                None | Some(b'\r') => true,
                Some(b'\n') => before != Some(b'\r'),
                Some(_) => false,
            },
            Self::Boundary => in_word != goes_on,
            Self::NoBoundary => in_word == goes_on,
            Self::WordStart => !in_word && goes_on,
            Self::WordEnd => in_word && !goes_on,
            Self::NoWordBefore => !in_word,
            Self::NoWordAfter => !goes_on,
        }
    }
}
