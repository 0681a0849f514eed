//! Runs a program through a text, in all ways at once: each step is taken at most once for each character.

use alloc::vec;
use alloc::vec::Vec;

use super::program::{Program, Step};

/// Not noted.
const NOWHERE: usize = usize::MAX;

/// Which places are wanted: keeping them costs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spans {
    /// None: whether it fits is enough.
    None,
    /// Where what fits begins and ends.
    Whole,
    /// Where the groups begin and end, too.
    All,
}

/// The ways that are open at one place, the preferred ones first. All stand before a step that takes a character, or at the
/// end.
#[derive(Debug, Default)]
struct Ways {
    steps: Vec<usize>,
    /// The notes of all of them, one after the other.
    notes: Vec<usize>,
}

/// What is still to be followed.
#[derive(Debug)]
enum Task {
    Step(usize),
    /// What comes now was not noted.
    Forget {
        note: usize,
        before: usize,
    },
}

/// A program in a text.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    program: &'a Program,
    text: &'a str,
    here: Ways,
    next: Ways,
    tasks: Vec<Task>,
    /// For each step the round in which it was seen.
    seen: Vec<u32>,
    round: u32,
    /// The notes of the way that is being followed.
    notes: Vec<usize>,
    found: Vec<usize>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(program: &'a Program, text: &'a str, spans: Spans) -> Self {
        let notes = match spans {
            Spans::None => 0,
            Spans::Whole => 2,
            Spans::All => 2 * (program.names.len() + 1),
        };
        Self {
            program,
            text,
            here: Ways::default(),
            next: Ways::default(),
            tasks: Vec::new(),
            seen: vec![0; program.steps.len()],
            round: 0,
            notes: vec![NOWHERE; notes],
            found: vec![NOWHERE; notes],
        }
    }

    /// Returns where a group begins and ends in what was found; zero is all of it.
    pub(super) fn span(&self, group: usize) -> Option<(usize, usize)> {
        let [start, end] = *self.found.get(2 * group..)?.first_chunk()?;
        (end != NOWHERE).then_some((start, end))
    }

    /// Returns what a group has found.
    pub(super) fn group(&self, group: usize) -> &'a str {
        let found = self
            .span(group)
            .and_then(|(start, end)| self.text.get(start..end));
        found.unwrap_or_default()
    }

    /// Looks for the first thing that fits, from a place on.
    pub(super) fn search(&mut self, from: usize) -> bool {
        let mut at = from;
        let mut has_found = false;
        self.here.clear();
        loop {
            if self.here.steps.is_empty() {
                if has_found {
                    return true;
                }
                let Some(candidate) = self.program.candidate(self.text, at) else {
                    return false;
                };
                at = candidate;
                self.round += 1; // what was seen was seen elsewhere
            }
            let Some(rest) = self.text.get(at..) else {
                return has_found;
            };
            if !has_found {
                self.begin(at);
            }
            let character = rest.chars().next();
            let next = at + character.map_or(0, char::len_utf8);
            has_found |= self.advance(character, at, next);
            if character.is_none() || (has_found && self.notes.is_empty()) {
                return has_found;
            }
            at = next;
        }
    }

    /// Opens the ways that begin at a place, after those that are open.
    fn begin(&mut self, at: usize) {
        self.notes.fill(NOWHERE);
        if let Some(start) = self.notes.first_mut() {
            *start = at;
        }
        core::mem::swap(&mut self.here, &mut self.next);
        self.follow(0, at);
        core::mem::swap(&mut self.here, &mut self.next);
    }

    /// Takes a character on all ways; tells whether one of them has come to its end.
    fn advance(&mut self, character: Option<char>, at: usize, next: usize) -> bool {
        self.round += 1;
        let here = core::mem::take(&mut self.here);
        let mut has_found = false;
        for (index, step) in here.steps.iter().enumerate() {
            let takes = match (self.program.steps.get(*step), character) {
                (Some(Step::Character(wanted)), Some(character)) => *wanted == character,
                (Some(Step::Class(class)), Some(character)) => self
                    .program
                    .classes
                    .get(*class)
                    .is_some_and(|class| class.has(character)),
                (Some(Step::Found), _) => {
                    self.found.clear();
                    self.found.extend_from_slice(here.notes(index, self.notes.len()));
                    if let Some(end) = self.found.get_mut(1) {
                        *end = at;
                    }
                    has_found = true;
                    break; // what comes after it is less preferred
                }
                _ => false,
            };
            if takes {
                let count = self.notes.len();
                self.notes.clear();
                self.notes.extend_from_slice(here.notes(index, count));
                self.follow(step + 1, next);
            }
        }
        self.here = core::mem::replace(&mut self.next, here);
        self.next.clear();
        has_found
    }

    /// Opens all ways that begin with a step.
    fn follow(&mut self, step: usize, at: usize) {
        self.tasks.push(Task::Step(step));
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Step(step) => self.explore(step, at),
                Task::Forget { note, before } => self.note(note, before),
            }
        }
    }

    fn explore(&mut self, mut index: usize, at: usize) {
        while let Some((step, seen)) = self.program.steps.get(index).zip(self.seen.get_mut(index)) {
            if *seen == self.round {
                return;
            }
            *seen = self.round;
            match *step {
                Step::Character(_) | Step::Class(_) | Step::Found => {
                    self.next.steps.push(index);
                    self.next.notes.extend_from_slice(&self.notes);
                    return;
                }
                Step::Look(look) if !look.holds(self.text.as_bytes(), at) => return,
                Step::Look(_) => index += 1,
                Step::Note(note) => {
                    if let Some(before) = self.notes.get(note).copied() {
                        self.tasks.push(Task::Forget { note, before });
                        self.note(note, at);
                    }
                    index += 1;
                }
                Step::Jump(by) => index = index.wrapping_add_signed(by),
                Step::Fork {
                    elsewhere,
                    prefers_next,
                } => {
                    let (mut first, mut second) = (index + 1, index.wrapping_add_signed(elsewhere));
                    if !prefers_next {
                        core::mem::swap(&mut first, &mut second);
                    }
                    self.tasks.push(Task::Step(second));
                    index = first;
                }
            }
        }
    }

    fn note(&mut self, note: usize, at: usize) {
        if let Some(place) = self.notes.get_mut(note) {
            *place = at;
        }
    }
}

impl Ways {
    fn clear(&mut self) {
        self.steps.clear();
        self.notes.clear();
    }

    fn notes(&self, index: usize, count: usize) -> &[usize] {
        self.notes
            .get(index * count..(index + 1) * count)
            .unwrap_or_default()
    }
}
