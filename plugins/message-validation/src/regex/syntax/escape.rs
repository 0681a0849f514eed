//! What begins with a backslash.

use super::{Atom, Fault, Reader};
use crate::regex::class::Class;
use crate::regex::look::Look;

impl Reader<'_> {
    /// Reads what comes after `\`.
    pub(super) fn escape(&mut self) -> Result<Atom, Fault> {
        let letter = self.next().ok_or("it ends with a \\")?;
        if let Some(class) = Class::escaped(letter) {
            return Ok(Atom::Class(class));
        }
        Ok(match letter {
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            'a' => Atom::Character('\x07'),
            'f' => Atom::Character('\x0c'),
            't' => Atom::Character('\t'),
            'n' => Atom::Character('\n'),
            'r' => Atom::Character('\r'),
            'v' => Atom::Character('\x0b'),
            'A' => Atom::Look(Look::Start),
            'z' => Atom::Look(Look::End),
            'b' => Atom::Look(self.boundary()?),
            'B' => Atom::Look(Look::NoBoundary),
            '<' => Atom::Look(Look::WordStart),
            '>' => Atom::Look(Look::WordEnd),
            '0'..='9' => return Err("it refers back, which nothing here does"),
            'p' | 'P' => return Err("there are no classes of Unicode"),
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Atom::Character(letter),
            _ => return Err("there is no such escape"),
        })
    }

    /// Reads `{start}` and the like after `\b`; what is no name in braces is a repetition.
    fn boundary(&mut self) -> Result<Look, Fault> {
        let here = self.left.clone();
        if !self.take('{') {
            return Ok(Look::Boundary);
        }
        self.skip_space();
        let name = self.word(|part| part.is_ascii_alphabetic() || part == '-');
        self.skip_space();
        if name.is_empty() {
            self.left = here;
            return Ok(Look::Boundary);
        }
        let look = match name.as_str() {
            "start" => Look::WordStart,
            "end" => Look::WordEnd,
            "start-half" => Look::NoWordBefore,
            "end-half" => Look::NoWordAfter,
            _ => return Err("there is no such boundary"),
        };
        if self.take('}') {
            Ok(look)
        } else {
            Err("a boundary has no closing }")
        }
    }

    /// Reads a character by its number: so many digits, or any number of them in braces.
    fn code(&mut self, digits: u32) -> Result<Atom, Fault> {
        const WRONG: &str = "a character has a wrong number";
        self.skip_space();
        let has_braces = self.take('{');
        let mut code = 0_u32;
        let mut count = 0;
        while has_braces || count < digits {
            self.skip_space();
            if has_braces && self.take('}') {
                break;
            }
            let digit = self.next().and_then(|digit| digit.to_digit(16)).ok_or(WRONG)?;
            code = code.checked_mul(16).ok_or(WRONG)? | digit;
            count += 1;
        }
        let character = char::from_u32(code).filter(|_| count > 0);
        character.map(Atom::Character).ok_or(WRONG)
    }
}
