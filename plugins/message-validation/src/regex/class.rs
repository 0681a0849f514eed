//! Sets of characters.

use alloc::vec;
use alloc::vec::Vec;

const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// What `[:name:]` stands for.
const NAMED: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", SPACE),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Characters, as ranges in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Class(Vec<(u32, u32)>);

impl Class {
    pub(super) fn of(ranges: &[(char, char)]) -> Self {
        let mut class = Self::default();
        for (first, last) in ranges {
            class.add(*first, *last);
        }
        class
    }

    /// What `\d`, `\s`, `\w` and their opposites stand for.
    pub(super) fn escaped(letter: char) -> Option<Self> {
        let class = Self::of(match letter.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => SPACE,
            'w' => WORD,
            _ => return None,
        });
        Some(if letter.is_ascii_uppercase() {
            class.negated()
        } else {
            class
        })
    }

    /// What `[:name:]` stands for.
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = NAMED.iter().find(|(known, _)| *known == name);
        found.map(|(_, ranges)| Self::of(ranges))
    }

    pub(super) fn add(&mut self, first: char, last: char) {
        self.insert(u32::from(first), u32::from(last));
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for (first, last) in &other.0 {
            self.insert(*first, *last);
        }
    }

    /// Takes a range in, and joins it with all that it touches.
    fn insert(&mut self, mut first: u32, mut last: u32) {
        self.0.retain(|(begin, end)| {
            let is_apart = *end + 1 < first || last + 1 < *begin;
            if !is_apart {
                (first, last) = (first.min(*begin), last.max(*end));
            }
            is_apart
        });
        let place = self.0.iter().position(|(begin, _)| *begin > last);
        self.0.insert(place.unwrap_or(self.0.len()), (first, last));
    }

    /// Adds the other case of all letters.
    pub(super) fn fold(&mut self) {
        for (first, last) in self.0.clone() {
            for (begin, end, other) in [('a', 'z', 'A'), ('A', 'Z', 'a')] {
                let (begin, end, other) = (u32::from(begin), u32::from(end), u32::from(other));
                let (low, high) = (first.max(begin), last.min(end));
                if low <= high {
                    self.insert(low - begin + other, high - begin + other);
                }
            }
        }
    }

    pub(super) fn negated(&self) -> Self {
        let mut gaps = vec![];
        let mut next = 0;
        for (first, last) in &self.0 {
            if next < *first {
                gaps.push((next, first - 1));
            }
            next = last + 1;
        }
        if next <= u32::from(char::MAX) {
            gaps.push((next, u32::from(char::MAX)));
        }
        Self(gaps)
    }

    pub(super) fn has(&self, character: char) -> bool {
        let code = u32::from(character);
        let range = self.0.iter().find(|(_, last)| code <= *last);
        range.is_some_and(|(first, _)| *first <= code)
    }

    pub(super) fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }
}
