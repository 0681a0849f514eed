//! Classes in brackets.

use super::{Atom, Fault, Reader};
use crate::regex::class::Class;

const UNCLOSED: &str = "a class has no closing ]";

impl Reader<'_> {
    /// Reads what comes after `[`.
    pub(super) fn bracket(&mut self) -> Result<Class, Fault> {
        let mut class = Class::default();
        self.skip_space();
        let is_negated = self.take('^');
        self.skip_space();
        let mut is_first = true;
        while self.take('-') {
            class.add('-', '-');
            is_first = false;
            self.skip_space();
        }
        if is_first && self.take(']') {
            class.add(']', ']');
        }
        loop {
            self.skip_space();
            if self.take(']') {
                break;
            }
            if ["&&", "--", "~~"]
                .iter()
                .any(|operator| self.left.as_str().starts_with(operator))
            {
                return Err("classes know no &&, -- and ~~");
            }
            if self.peek() == Some('[') {
                class.add_all(
                    &self
                        .named()
                        .ok_or("there is no such class in a class: write [:name:], or \\[")?,
                );
            } else {
                self.items(&mut class)?;
            }
        }
        if self.flags.ignores_case {
            class.fold();
        }
        Ok(if is_negated { class.negated() } else { class })
    }

    /// Reads one character, a range, or an escaped class.
    fn items(&mut self, class: &mut Class) -> Result<(), Fault> {
        let first = self.item()?;
        self.skip_space();
        if !self.begins_range() {
            match first {
                Atom::Character(character) => class.add(character, character),
                Atom::Class(other) => class.add_all(&other),
                Atom::Look(_) => return Err("a class is of characters"),
            }
            return Ok(());
        }
        self.next();
        self.skip_space();
        match (first, self.item()?) {
            (Atom::Character(first), Atom::Character(last)) if first <= last => class.add(first, last),
            (Atom::Character(_), Atom::Character(_)) => return Err("a range ends before it begins"),
            _ => return Err("a range is from a character to a character"),
        }
        Ok(())
    }

    fn item(&mut self) -> Result<Atom, Fault> {
        match self.next() {
            None => Err(UNCLOSED),
            Some('\\') => self.escape(),
            Some(character) => Ok(Atom::Character(character)),
        }
    }

    /// Tells whether a `-` comes that is no character itself.
    fn begins_range(&mut self) -> bool {
        let here = self.left.clone();
        let is_dash = self.take('-');
        self.skip_space();
        let ends = matches!(self.peek(), Some(']' | '-'));
        self.left = here;
        is_dash && !ends
    }

    /// Reads `[:name:]` or `[:^name:]`.
    fn named(&mut self) -> Option<Class> {
        let (name, rest) = self.left.as_str().strip_prefix("[:")?.split_once(':')?;
        let class = match name.strip_prefix('^') {
            Some(name) => Class::named(name)?.negated(),
            None => Class::named(name)?,
        };
        self.left = rest.strip_prefix(']')?.chars();
        Some(class)
    }
}
