//! Groups: `(..)`, `(?:..)`, `(?<name>..)`, and flags.

use alloc::string::String;

use super::{Fault, Flags, Reader};
use crate::regex::program::Part;

impl Reader<'_> {
    /// Reads a group; none where it was only flags, which are for what comes after it.
    pub(super) fn group(&mut self) -> Result<Option<Part>, Fault> {
        self.next();
        self.skip_space();
        if ["?=", "?!", "?<=", "?<!"].iter().any(|look| self.take_all(look)) {
            return Err("it looks around, which nothing here does");
        }
        let outside = self.flags;
        let group = if self.take_all("?P<") || self.take_all("?<") {
            let name = self.name()?;
            self.numbered(Some(name))?
        } else if self.take('?') {
            self.flags = self.flags()?;
            if self.take(')') {
                return Ok(None);
            }
            self.next();
            self.alternatives()?
        } else {
            self.numbered(None)?
        };
        self.flags = outside;
        if self.take(')') {
            Ok(Some(group))
        } else {
            Err("a group has no closing )")
        }
    }

    fn numbered(&mut self, name: Option<String>) -> Result<Part, Fault> {
        self.names.push(name);
        let number = self.names.len();
        self.alternatives()?.grouped(number)
    }

    /// Reads `name>`.
    fn name(&mut self) -> Result<String, Fault> {
        let is_part = |part: char| {
            part.is_ascii_alphanumeric() || matches!(part, '_' | '.' | '[' | ']') || !part.is_ascii()
        };
        let name = self.word(is_part);
        if name.is_empty()
            || name.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '.' | '[' | ']'))
        {
            return Err("a group has no name, or a wrong one");
        }
        if !self.take('>') {
            return Err("the name of a group has no closing >");
        }
        if self
            .names
            .iter()
            .any(|known| known.as_deref() == Some(name.as_str()))
        {
            return Err("two groups have one name");
        }
        Ok(name)
    }

    /// Reads flags, up to the `)` or `:` after them.
    fn flags(&mut self) -> Result<Flags, Fault> {
        let mut flags = self.flags;
        let letters = self.word(|part| part != ')' && part != ':');
        let (on, off) = match letters.split_once('-') {
            Some((_, "")) => return Err("there are no flags after the -"),
            Some(both) => both,
            None => (letters.as_str(), ""),
        };
        match self.peek() {
            None => return Err("flags have neither : nor ) after them"),
            Some(')') if letters.is_empty() => return Err("there are no flags in (?)"),
            Some(_) => {}
        }
        let set = on.chars().map(|flag| (flag, true));
        for (index, (flag, is_on)) in set.chain(off.chars().map(|flag| (flag, false))).enumerate() {
            let known = match flag {
                'i' => &mut flags.ignores_case,
                'm' => &mut flags.has_lines,
                's' => &mut flags.dot_is_all,
                'U' => &mut flags.is_lazy,
                'R' => &mut flags.has_crlf,
                'x' => &mut flags.has_space,
                'u' => &mut false,
                _ => return Err("there is no such flag: there are i, m, s, x, R and U"),
            };
            *known = is_on;
            let before = letters.chars().filter(|letter| *letter != '-').take(index);
            if before.into_iter().any(|letter| letter == flag) {
                return Err("a flag stands twice");
            }
        }
        Ok(flags)
    }
}
