//! What takes the place of what is found.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::machine::Machine;
use super::program::Program;

/// Text, with the groups that are put into it.
#[derive(Debug, Clone)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Group(usize),
}

impl Template {
    pub(super) fn new(mut text: &str, program: &Program) -> Self {
        let mut pieces = Vec::new();
        while let Some((before, after)) = text.split_once('$') {
            pieces.push(Piece::Text(before.to_string()));
            text = after;
            if let Some(rest) = after.strip_prefix('$') {
                pieces.push(Piece::Text("$".to_string()));
                text = rest;
            } else if let Some((name, rest)) = reference(after) {
                pieces.extend(group(name, program).map(Piece::Group));
                text = rest;
            } else {
                pieces.push(Piece::Text("$".to_string()));
            }
        }
        pieces.push(Piece::Text(text.to_string()));
        Self(pieces)
    }

    pub(super) fn names_groups(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Group(_)))
    }

    pub(super) fn write(&self, machine: &Machine<'_>, into: &mut String) {
        for piece in &self.0 {
            into.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => machine.group(*group),
            });
        }
    }
}

/// Returns what stands after a `$`, with or without braces, and what comes then.
fn reference(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}');
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let len = text.bytes().position(|byte| !is_name(byte)).unwrap_or(text.len());
    text.split_at_checked(len).filter(|(name, _)| !name.is_empty())
}

/// Returns the number of a group, by its number or name.
fn group(name: &str, program: &Program) -> Option<usize> {
    name.parse().ok().or_else(|| {
        let place = program
            .names
            .iter()
            .position(|known| known.as_deref() == Some(name));
        place.map(|index| index + 1)
    })
}
