//! Reads expressions. Errors are for the operator who wrote one.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::Chars;

use super::class::Class;
use super::look::Look;
use super::program::{Part, Program, Step};

mod bracket;
mod escape;
mod group;

/// So many groups may be inside one another: they are read by recursion, on a small stack.
const DEPTH_MAX: u32 = 50;

/// What is wrong with an expression.
type Fault = &'static str;

/// Reads a whole expression.
pub(super) fn read(expression: &str) -> Result<Program, Fault> {
    let mut reader = Reader {
        left: expression.chars(),
        flags: Flags::default(),
        depth: 0,
        classes: Vec::new(),
        names: Vec::new(),
    };
    let whole = reader.alternatives()?;
    Ok(Program::new(whole, reader.classes, reader.names))
}

/// What `(?i)` and others change.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignores_case: bool,
    has_lines: bool,
    dot_is_all: bool,
    is_lazy: bool,
    has_crlf: bool,
    has_space: bool,
}

/// One thing that is not made of others.
#[derive(Debug)]
enum Atom {
    Character(char),
    Class(Class),
    Look(Look),
}

/// Somewhere in an expression.
#[derive(Debug)]
struct Reader<'a> {
    left: Chars<'a>,
    flags: Flags,
    depth: u32,
    classes: Vec<Class>,
    names: Vec<Option<String>>,
}

impl Reader<'_> {
    /// Reads up to the end of the group, or of the expression.
    fn alternatives(&mut self) -> Result<Part, Fault> {
        if self.depth > DEPTH_MAX {
            return Err("too many groups inside one another");
        }
        self.depth += 1;
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.sequence()?);
            if !self.take('|') {
                break;
            }
        }
        self.depth -= 1;
        if self.depth == 0 && self.peek().is_some() {
            return Err("there is a ) without a (");
        }
        Part::any_of(&alternatives)
    }

    /// Reads one alternative.
    fn sequence(&mut self) -> Result<Part, Fault> {
        let mut sequence = Part::empty();
        // A repetition is for what came last.
        let mut last = None;
        loop {
            self.skip_space();
            let next = match self.peek() {
                None | Some('|' | ')') => break,
                Some('*' | '+' | '?' | '{') => {
                    let repeated = last.take().ok_or("there is nothing to repeat")?;
                    last = Some(self.repetition(&repeated)?);
                    continue;
                }
                Some('(') => self.group()?,
                Some(_) => {
                    let atom = self.atom()?;
                    Some(self.part(atom))
                }
            };
            if let Some(next) = next {
                if let Some(before) = last.replace(next) {
                    sequence.append(&before)?;
                }
            }
        }
        if let Some(last) = last {
            sequence.append(&last)?;
        }
        Ok(sequence)
    }

    fn atom(&mut self) -> Result<Atom, Fault> {
        Ok(match self.next() {
            Some('[') => Atom::Class(self.bracket()?),
            Some('\\') => self.escape()?,
            Some('.') => Atom::Class(self.dot()),
            Some('^') => Atom::Look(match self.flags {
                Flags { has_lines: false, .. } => Look::Start,
                Flags { has_crlf: true, .. } => Look::CrlfStart,
                _ => Look::LineStart,
            }),
            Some('$') => Atom::Look(match self.flags {
                Flags { has_lines: false, .. } => Look::End,
                Flags { has_crlf: true, .. } => Look::CrlfEnd,
                _ => Look::LineEnd,
            }),
            Some(character) => Atom::Character(character),
            None => return Err("it ends too early"),
        })
    }

    fn dot(&self) -> Class {
        let except: &[(char, char)] = match self.flags {
            Flags { dot_is_all: true, .. } => &[],
            Flags { has_crlf: true, .. } => &[('\n', '\n'), ('\r', '\r')],
            _ => &[('\n', '\n')],
        };
        Class::of(except).negated()
    }

    fn part(&mut self, atom: Atom) -> Part {
        let class = match atom {
            Atom::Look(look) => return Part::step(Step::Look(look)),
            Atom::Class(class) => class,
            Atom::Character(character) if self.flags.ignores_case && character.is_ascii_alphabetic() => {
                let mut class = Class::of(&[(character, character)]);
                class.fold();
                class
            }
            Atom::Character(character) => return Part::step(Step::Character(character)),
        };
        self.classes.push(class);
        Part::step(Step::Class(self.classes.len() - 1))
    }

    /// Reads `*`, `+`, `?` or `{..}`, after what it is for.
    fn repetition(&mut self, of: &Part) -> Result<Part, Fault> {
        let (min, max) = match self.next() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            _ => self.counts()?,
        };
        let is_greedy = self.take('?') == self.flags.is_lazy;
        if max.is_some_and(|max| min > max) {
            return Err("a repetition has a minimum above its maximum");
        }
        of.repeated(min, max, is_greedy)
    }

    /// Reads what comes after `{`.
    fn counts(&mut self) -> Result<(u32, Option<u32>), Fault> {
        self.skip_space();
        let min = self.number()?;
        let mut max = Some(min);
        if self.take(',') {
            self.skip_space();
            max = if self.peek() == Some('}') {
                None
            } else {
                Some(self.number()?)
            };
        }
        if !self.take('}') {
            return Err("a repetition has no closing }");
        }
        self.skip_space();
        Ok((min, max))
    }

    /// Reads a decimal number, with white space around it.
    fn number(&mut self) -> Result<u32, Fault> {
        let mut number = None;
        self.skip_white();
        while let Some(digit) = self.peek().and_then(|digit| digit.to_digit(10)) {
            let tens = number.unwrap_or(0_u32).checked_mul(10);
            number = Some(
                tens.and_then(|tens| tens.checked_add(digit))
                    .ok_or("a number is too great")?,
            );
            self.next();
            self.skip_space();
        }
        self.skip_white();
        number.ok_or("a repetition has no number")
    }

    fn peek(&self) -> Option<char> {
        self.left.clone().next()
    }

    fn next(&mut self) -> Option<char> {
        self.left.next()
    }

    /// Takes the next character if it is this one.
    fn take(&mut self, wanted: char) -> bool {
        let is_it = self.peek() == Some(wanted);
        if is_it {
            self.next();
        }
        is_it
    }

    /// Takes what comes next if it is this.
    fn take_all(&mut self, wanted: &str) -> bool {
        let rest = self.left.as_str().strip_prefix(wanted);
        if let Some(rest) = rest {
            self.left = rest.chars();
        }
        rest.is_some()
    }

    fn skip_white(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.next();
        }
    }

    /// Skips white space and comments, where the expression has them.
    fn skip_space(&mut self) {
        while self.flags.has_space {
            self.skip_white();
            if !self.take('#') {
                return;
            }
            while !matches!(self.next(), None | Some('\n')) {}
        }
    }

    /// Reads the rest of a name, up to a character that is not part of it.
    fn word(&mut self, is_part: impl Fn(char) -> bool) -> String {
        let text = self.left.as_str();
        let len = text.find(|character| !is_part(character)).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(len).unwrap_or_default();
        self.left = rest.chars();
        word.to_string()
    }
}
