//! What an expression becomes: steps, of which each leads to the next one or says where to go on.

use alloc::string::String;
use alloc::vec::Vec;

use super::class::Class;
use super::look::Look;

/// So many steps an expression may have, with all its repetitions written out: they take some megabytes.
const STEPS_MAX: usize = 1 << 18;
const TOO_LONG: &str = "it is too long with its repetitions";

/// One step. What leads elsewhere says by how many steps, so that a part can be copied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Takes this character.
    Character(char),
    /// Takes a character of the class with this number.
    Class(usize),
    /// Goes on if this is so.
    Look(Look),
    /// Notes the place: twice the number of a group, and one more at its end.
    Note(usize),
    /// Goes elsewhere.
    Jump(isize),
    /// Goes on, and elsewhere, too; which of them is preferred.
    Fork { elsewhere: isize, prefers_next: bool },
    /// Has found what it looked for.
    Found,
}

/// Part of an expression: whoever comes to its end has gone through it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    steps: Vec<Step>,
    /// It can fit nothing at all.
    may_be_empty: bool,
}

impl Part {
    /// Fits nothing.
    pub(super) fn empty() -> Self {
        Self {
            steps: Vec::new(),
            may_be_empty: true,
        }
    }

    pub(super) fn step(step: Step) -> Self {
        Self {
            steps: Vec::from([step]),
            may_be_empty: matches!(step, Step::Look(_)),
        }
    }

    /// Appends what comes after it.
    pub(super) fn append(&mut self, next: &Self) -> Result<(), &'static str> {
        if self.steps.len() + next.steps.len() > STEPS_MAX {
            return Err(TOO_LONG);
        }
        self.steps.extend_from_slice(&next.steps);
        self.may_be_empty &= next.may_be_empty;
        Ok(())
    }

    fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Returns one that notes where it begins and ends.
    pub(super) fn grouped(&self, number: usize) -> Result<Self, &'static str> {
        let mut group = Self::step(Step::Note(2 * number));
        group.append(self)?;
        group.push(Step::Note(2 * number + 1));
        group.may_be_empty = self.may_be_empty;
        Ok(group)
    }

    /// Returns one that is any of several, the first of them first.
    pub(super) fn any_of(alternatives: &[Self]) -> Result<Self, &'static str> {
        let [but_last @ .., last] = alternatives else {
            return Ok(Self::empty());
        };
        let mut any = Self::empty();
        let mut jumps = Vec::new();
        for alternative in but_last {
            any.push(fork(alternative.len() + 2, true));
            any.append(alternative)?;
            jumps.push(any.steps.len());
            any.push(Step::Jump(0));
        }
        any.append(last)?;
        let end = any.len();
        for jump in jumps {
            if let Some(step) = any.steps.get_mut(jump) {
                *step = Step::Jump(end - jump as isize);
            }
        }
        any.may_be_empty = alternatives.iter().any(|alternative| alternative.may_be_empty);
        Ok(any)
    }

    /// Returns one that is repeated.
    pub(super) fn repeated(&self, min: u32, max: Option<u32>, is_greedy: bool) -> Result<Self, &'static str> {
        let most = max.unwrap_or(min).max(1) as usize;
        if self.steps.len().saturating_add(1).saturating_mul(most) > STEPS_MAX {
            return Err(TOO_LONG);
        }
        let mut repeated = Self::empty();
        for _ in 1..min {
            repeated.append(self)?;
        }
        match max {
            None => repeated.append(&self.without_end(min > 0, is_greedy)?)?,
            Some(_) if min > 0 => repeated.append(self)?,
            Some(_) => {}
        }
        // What is left need not be: whoever leaves it out, leaves out all that comes after it.
        let optional = max.map_or(0, |max| max - min);
        for left in (1..=optional as usize).rev() {
            repeated.push(fork(left as isize * (self.len() + 1), is_greedy));
            repeated.steps.extend_from_slice(&self.steps);
        }
        repeated.may_be_empty = min == 0 || self.may_be_empty;
        Ok(repeated)
    }

    /// Returns one that is repeated without end: at least once, or not even that.
    fn without_end(&self, is_needed: bool, is_greedy: bool) -> Result<Self, &'static str> {
        let mut whole = Self::empty();
        if !is_needed {
            // What can be empty is tried before it is tried again: one round that fits nothing is no endless one.
            whole.push(fork(self.len() + 2, is_greedy));
        }
        whole.append(self)?;
        whole.push(if is_needed || self.may_be_empty {
            fork(-self.len(), !is_greedy)
        } else {
            Step::Jump(-self.len() - 1)
        });
        Ok(whole)
    }

    fn len(&self) -> isize {
        self.steps.len() as isize
    }
}

fn fork(elsewhere: isize, prefers_next: bool) -> Step {
    Step::Fork {
        elsewhere,
        prefers_next,
    }
}

/// A whole expression.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) classes: Vec<Class>,
    /// What the groups are called, from the first.
    pub(super) names: Vec<Option<String>>,
    /// It fits at the beginning of a text only.
    is_anchored: bool,
    /// One bit for each byte with which something that fits can begin; none if that may be nothing.
    beginnings: Option<[u32; 8]>,
}

impl Program {
    pub(super) fn new(whole: Part, classes: Vec<Class>, names: Vec<Option<String>>) -> Self {
        let mut steps = whole.steps;
        steps.push(Step::Found);
        let mut program = Self {
            steps,
            classes,
            names,
            is_anchored: false,
            beginnings: None,
        };
        program.is_anchored = program.first_steps(false).is_empty();
        program.beginnings = program.beginnings();
        program
    }

    /// Returns the first place, from one on, where it could fit.
    pub(super) fn candidate(&self, text: &str, from: usize) -> Option<usize> {
        if self.is_anchored && from > 0 {
            return None;
        }
        let Some(beginnings) = &self.beginnings else {
            return Some(from);
        };
        let can_begin = |byte: &u8| has_bit(beginnings, *byte);
        let mut rest = text.as_bytes().get(from..)?.iter();
        if self.is_anchored {
            return rest.next().is_some_and(can_begin).then_some(from);
        }
        rest.position(can_begin).map(|distance| from + distance)
    }

    /// Returns the steps that take the first character, or find without one; those at the beginning of a text only, too, or
    /// only the others.
    fn first_steps(&self, at_start: bool) -> Vec<Step> {
        let mut found = Vec::new();
        let mut is_seen = alloc::vec![false; self.steps.len()];
        let mut open = Vec::from([0]);
        while let Some(index) = open.pop() {
            let Some((step, is_seen)) = self.steps.get(index).zip(is_seen.get_mut(index)) else {
                continue;
            };
            if core::mem::replace(is_seen, true) {
                continue;
            }
            match step {
                Step::Look(Look::Start) if !at_start => {}
                Step::Look(_) | Step::Note(_) => open.push(index + 1),
                Step::Jump(by) => open.push(index.wrapping_add_signed(*by)),
                Step::Fork { elsewhere, .. } => {
                    open.extend([index + 1, index.wrapping_add_signed(*elsewhere)]);
                }
                Step::Character(_) | Step::Class(_) | Step::Found => found.push(*step),
            }
        }
        found
    }

    fn beginnings(&self) -> Option<[u32; 8]> {
        let mut bits = [0; 8];
        for step in self.first_steps(true) {
            match step {
                Step::Character(character) => set_bits(&mut bits, u32::from(character), u32::from(character)),
                Step::Class(index) => {
                    for (first, last) in self.classes.get(index)?.ranges() {
                        set_bits(&mut bits, *first, *last);
                    }
                }
                _ => return None,
            }
        }
        Some(bits)
    }
}

/// Sets the bits of the bytes with which characters begin, from one to another.
fn set_bits(bits: &mut [u32; 8], first: u32, last: u32) {
    // No character begins with the bytes that come later in one.
    let leading = (leading_byte(first)..=leading_byte(last)).filter(|byte| !(0x80..0xc0).contains(byte));
    for byte in leading {
        if let Some(word) = bits.get_mut(usize::from(byte / 32)) {
            *word |= 1 << (byte % 32);
        }
    }
}

fn has_bit(bits: &[u32; 8], byte: u8) -> bool {
    bits.get(usize::from(byte / 32))
        .is_some_and(|word| word >> (byte % 32) & 1 == 1)
}

/// Returns the first byte of a character in UTF-8.
fn leading_byte(code: u32) -> u8 {
    let bits = |shift: u32| (code >> shift).to_le_bytes()[0];
    match code {
        ..0x80 => bits(0),
        0x80..0x800 => 0xc0 | bits(6),
        0x800..0x1_0000 => 0xe0 | bits(12),
        _ => 0xf0 | bits(18),
    }
}
