//! Changing a JSON text at RFC 6901 pointers: what is not meant stays byte for byte.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use super::document::{Ambiguous, Document, Level, unescaped};
use super::scan::Span;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where, from the root of the text.
    pub pointer: String,
    /// The new value as JSON text; `None` removes the value that stands there.
    pub value: Option<String>,
}

/// Why a text cannot be changed so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EditError {
    /// The pointer is none, or names the whole text.
    #[error("{0:?} names no value inside the message")]
    Pointer(String),
    /// There is no object or array to change, or no value to remove.
    #[error("there is nothing at {0:?}")]
    Nowhere(String),
    /// The value is not JSON.
    #[error("the value for {0:?} is not JSON")]
    Value(String),
    /// An object on the way holds a key twice.
    #[error(transparent)]
    Ambiguous(#[from] Ambiguous),
    /// So many values come and go in so long a text that it would take too long.
    #[error("too many changes for so long a text: replace what holds them instead")]
    TooMuch,
}

/// Bytes written for one list of changes, at most, besides the first pass.
const WORK_MAX: usize = 64 << 20;

/// Applies changes in their order; each sees what the ones before have done.
///
/// A member that is not there is added at the end of its object. In an array an element is replaced, and `-` appends.
/// Values that are replaced by others are written in one pass; whatever else changes costs a pass of its own.
///
/// # Errors
/// See [`EditError`]; the first one met, and then nothing is changed.
pub fn apply(text: &Bytes, edits: &[Edit]) -> Result<Bytes, EditError> {
    let mut draft = Draft {
        document: Document::new(text.clone()),
        changes: BTreeMap::new(),
        work_left: WORK_MAX + text.len(),
    };
    for edit in edits {
        draft.edit(edit)?;
    }
    draft.write()?;
    Ok(draft.document.bytes().clone())
}

/// Returns a key as a token of a pointer (RFC 6901 §3).
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A text, and changes of it that are still to be written: as long as they do not touch, all can be found in one text.
struct Draft<'a> {
    document: Document,
    /// By the start of what they replace.
    changes: BTreeMap<usize, Change<'a>>,
    work_left: usize,
}

/// A piece of the text, and what stands there instead.
struct Change<'a> {
    span: Span,
    insert: Cow<'a, str>,
    /// Whether one value takes the place of another: all else stays where a pointer finds it.
    is_replacement: bool,
}

impl<'a> Draft<'a> {
    fn edit(&mut self, edit: &'a Edit) -> Result<(), EditError> {
        if let Some(value) = &edit.value {
            serde_json::from_str::<serde::de::IgnoredAny>(value)
                .map_err(|_| EditError::Value(edit.pointer.clone()))?;
        }
        let mut change = find(&self.document, edit);
        let is_apart = change
            .as_ref()
            .is_ok_and(|change| change.is_replacement && self.is_free(&change.span));
        if !is_apart && !self.changes.is_empty() {
            self.write()?;
            change = find(&self.document, edit);
        }
        let change = change?;
        let is_replacement = change.is_replacement;
        self.changes.insert(change.span.start, change);
        if is_replacement { Ok(()) } else { self.write() }
    }

    fn is_free(&self, span: &Span) -> bool {
        let before = self.changes.range(..span.end).next_back();
        before.is_none_or(|(_, change)| change.span.end <= span.start)
    }

    fn write(&mut self) -> Result<(), EditError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let bytes = self.document.bytes();
        let left = self.work_left.checked_sub(bytes.len());
        self.work_left = left.ok_or(EditError::TooMuch)?;
        let mut out = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for change in std::mem::take(&mut self.changes).into_values() {
            out.extend_from_slice(&bytes[from..change.span.start]);
            out.extend_from_slice(change.insert.as_bytes());
            from = change.span.end;
        }
        out.extend_from_slice(&bytes[from..]);
        self.document = Document::new(out.into());
        Ok(())
    }
}

/// Finds what a change means in a text.
fn find<'a>(document: &Document, edit: &'a Edit) -> Result<Change<'a>, EditError> {
    let nowhere = || EditError::Nowhere(edit.pointer.clone());
    let pointer = || EditError::Pointer(edit.pointer.clone());
    let (parent, token) = edit.pointer.rsplit_once('/').ok_or_else(pointer)?;
    let token = unescaped(token).ok_or_else(pointer)?;
    let parent = document.at(parent)?.ok_or_else(nowhere)?;
    let level = document.level(&parent)?.ok_or_else(nowhere)?;
    let place = level.place(document.bytes(), &token);
    let (span, insert) = match (place, &edit.value) {
        (Some(place), Some(value)) => (
            level.entries()[place].value.clone(),
            Cow::Borrowed(value.as_str()),
        ),
        (Some(place), None) => (removal(&level, place), Cow::Borrowed("")),
        (None, Some(value)) => {
            let prefix = match level.is_object() {
                true => format!("{}:", serde_json::Value::from(&*token)),
                false if token == "-" => String::new(),
                false => return Err(nowhere()),
            };
            let comma = if level.entries().is_empty() { "" } else { "," };
            let end = parent.end - 1;
            (end..end, Cow::Owned(format!("{comma}{prefix}{value}")))
        }
        (None, None) => return Err(nowhere()),
    };
    Ok(Change {
        span,
        insert,
        is_replacement: place.is_some() && edit.value.is_some(),
    })
}

/// Returns the text without those elements of the array at a pointer that `keep` refuses; `None` if there is no array.
///
/// # Errors
/// An object on the way holds a key twice.
pub fn retain(
    document: &Document,
    pointer: &str,
    mut keep: impl FnMut(usize) -> bool,
) -> Result<Option<Bytes>, Ambiguous> {
    let Some(array) = document.at(pointer)? else {
        return Ok(None);
    };
    let Some(level) = document.level(&array)?.filter(|level| !level.is_object()) else {
        return Ok(None);
    };
    let bytes = document.bytes();
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..=array.start]);
    let mut is_first = true;
    for (place, entry) in level.entries().iter().enumerate() {
        if keep(place) {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            out.extend_from_slice(&bytes[entry.value.clone()]);
        }
    }
    out.extend_from_slice(&bytes[array.end - 1..]);
    Ok(Some(out.into()))
}

/// Returns the text without these members: each an object's pointer and a key. What is not there is passed over.
///
/// # Errors
/// An object on the way holds a key twice.
pub fn without_members(document: &Document, members: &[(&str, &str)]) -> Result<Bytes, Ambiguous> {
    let bytes = document.bytes();
    let mut gone: Vec<Span> = Vec::new();
    for (object, key) in members {
        let Some(object) = document.at(object)? else {
            continue;
        };
        let Some(level) = document.level(&object)?.filter(|level| level.is_object()) else {
            continue;
        };
        gone.extend(level.place(bytes, key).map(|place| removal(&level, place)));
    }
    gone.sort_by_key(|span| span.start);
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for span in gone {
        // What lies inside of something that goes is gone with it.
        if span.start >= from {
            out.extend_from_slice(&bytes[from..span.start]);
        }
        from = from.max(span.end);
    }
    out.extend_from_slice(&bytes[from..]);
    Ok(out.into())
}

/// Returns what goes when an entry goes: it, and one of the commas beside it.
fn removal(level: &Level, place: usize) -> Span {
    let entries = level.entries();
    let start = |place: usize| match level.is_object() {
        true => entries[place].key.start,
        false => entries[place].value.start,
    };
    if place + 1 < entries.len() {
        start(place)..start(place + 1)
    } else if place > 0 {
        entries[place - 1].value.end..entries[place].value.end
    } else {
        start(place)..entries[place].value.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(pointer: &str, value: Option<&str>) -> Edit {
        Edit {
            pointer: pointer.to_owned(),
            value: value.map(str::to_owned),
        }
    }

    #[track_caller]
    fn check(text: &str, edits: &[(&str, Option<&str>)], expect: Result<&str, &str>) {
        let edits: Vec<_> = edits
            .iter()
            .map(|(pointer, value)| edit(pointer, *value))
            .collect();
        let done = apply(&Bytes::copy_from_slice(text.as_bytes()), &edits);
        let done = done.map_err(|error| error.to_string());
        let expect = expect.map(str::as_bytes).map_err(str::to_owned);
        assert_eq!(done.as_deref(), expect.as_deref());
    }

    #[test]
    fn replaces_adds_and_removes() {
        check(r#"{"a": 1}"#, &[("/a", Some("[2]"))], Ok(r#"{"a": [2]}"#));
        check(r#"{"a": 1}"#, &[("/b~1", Some("2"))], Ok(r#"{"a": 1,"b/":2}"#));
        check(r#"{ }"#, &[("/q\"", Some("2"))], Ok(r#"{ "q\"":2}"#));
        check(r#"{"a": 1, "b":2}"#, &[("/a", None)], Ok(r#"{"b":2}"#));
        check(r#"{"a": 1, "b":2}"#, &[("/b", None)], Ok(r#"{"a": 1}"#));
        check(r#"{"a":1}"#, &[("/a", None)], Ok("{}"));
        check("[1,2,3]", &[("/1", None)], Ok("[1,3]"));
        check("[1,2,3]", &[("/2", None), ("/-", Some("9"))], Ok("[1,2,9]"));
        check("[]", &[("/-", Some("9"))], Ok("[9]"));
    }

    #[test]
    fn each_edit_sees_the_one_before() {
        let edits = [
            ("/a", Some("{}")),
            ("/a/b", Some("1")),
            ("/a/c", Some("2")),
            ("/a/b", None),
        ];
        check("{}", &edits, Ok(r#"{"a":{"c":2}}"#));
    }

    #[test]
    fn replacements_in_one_pass_are_as_good_as_one_by_one() {
        let text = r#"{"a": [1, {"b": "x"}, 3], "c": {"d": 4}, "e": 5}"#;
        for edits in [
            // Apart, in any order.
            vec![
                ("/e", Some("50")),
                ("/a/1/b", Some("\"yy\"")),
                ("/c/d", Some("[]")),
            ],
            // The same place again, one inside another, one around another.
            vec![("/e", Some("50")), ("/e", Some("{}")), ("/e/f", Some("1"))],
            vec![
                ("/a", Some(r#"{"1":{}}"#)),
                ("/a/1/b", Some("7")),
                ("/e", Some("6")),
            ],
            vec![("/a/1/b", Some("7")), ("/a/1", Some("8")), ("/a/0", Some("9"))],
            // Places move.
            vec![
                ("/a/2", Some("30")),
                ("/a/0", None),
                ("/a/1", Some("31")),
                ("/a/-", Some("32")),
            ],
            vec![("/c/d", Some("40")), ("/c/d", None), ("/c", Some("1"))],
        ] {
            let mut one_by_one = Bytes::copy_from_slice(text.as_bytes());
            let all: Vec<_> = edits
                .iter()
                .map(|(pointer, value)| edit(pointer, *value))
                .collect();
            for edit in &all {
                one_by_one = apply(&one_by_one, std::slice::from_ref(edit)).expect("it fits");
            }
            let at_once = apply(&Bytes::copy_from_slice(text.as_bytes()), &all);
            assert_eq!(at_once.as_ref(), Ok(&one_by_one), "{edits:?}");
            assert!(serde_json::from_slice::<serde_json::Value>(&one_by_one).is_ok());
        }
    }

    #[test]
    fn replaces_as_much_as_one_likes_but_does_not_move_a_long_text_for_ever() {
        let text: Bytes = format!("[{}1]", "1,".repeat(1 << 20)).into();
        let replaced: Vec<_> = (0..10_000)
            .map(|place| edit(&format!("/{place}"), Some("22")))
            .collect();
        let longer = apply(&text, &replaced).expect("one pass");
        assert_eq!(longer.len(), text.len() + replaced.len());
        let removed = vec![edit("/0", None); 100];
        assert_eq!(apply(&text, &removed), Err(EditError::TooMuch));
    }

    #[test]
    fn says_what_does_not_fit() {
        check("{}", &[("/a/b", Some("1"))], Err("there is nothing at \"/a/b\""));
        check("{}", &[("/a", None)], Err("there is nothing at \"/a\""));
        check("[]", &[("/0", Some("1"))], Err("there is nothing at \"/0\""));
        check(
            "{}",
            &[("", Some("1"))],
            Err("\"\" names no value inside the message"),
        );
        check(
            "{}",
            &[("/a", Some("{"))],
            Err("the value for \"/a\" is not JSON"),
        );
    }

    #[test]
    fn keeps_some_elements() {
        let document = Document::new(r#"{"r":{"tools":[ {"n":1} , 2,[3] ],"x":1}}"#.into());
        let kept = retain(&document, "/r/tools", |place| place != 1).expect("unique keys");
        assert_eq!(
            kept.as_deref(),
            Some(br#"{"r":{"tools":[{"n":1},[3]],"x":1}}"#.as_slice())
        );
        let none = retain(&document, "/r/tools", |_| false).expect("unique keys");
        assert_eq!(none.as_deref(), Some(br#"{"r":{"tools":[],"x":1}}"#.as_slice()));
        assert_eq!(retain(&document, "/r", |_| true), Ok(None));
    }
}
