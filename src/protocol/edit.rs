//! Changing a JSON text at RFC 6901 pointers: what is not meant stays byte for byte.

use bytes::Bytes;
use thiserror::Error;

use super::document::{Ambiguous, Document, Level, index, key_text, unescaped};
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
}

/// Applies changes in their order; each sees what the ones before have done.
///
/// A member that is not there is added at the end of its object. In an array an element is replaced, and `-` appends.
///
/// # Errors
/// See [`EditError`]; the first one met, and then nothing is changed.
pub fn apply(text: &Bytes, edits: &[Edit]) -> Result<Bytes, EditError> {
    let mut text = text.clone();
    for edit in edits {
        text = apply_one(text, edit)?;
    }
    Ok(text)
}

fn apply_one(text: Bytes, edit: &Edit) -> Result<Bytes, EditError> {
    let nowhere = || EditError::Nowhere(edit.pointer.clone());
    let pointer = || EditError::Pointer(edit.pointer.clone());
    if let Some(value) = &edit.value {
        serde_json::from_str::<serde::de::IgnoredAny>(value)
            .map_err(|_| EditError::Value(edit.pointer.clone()))?;
    }
    let (parent, token) = edit.pointer.rsplit_once('/').ok_or_else(pointer)?;
    let token = unescaped(token).ok_or_else(pointer)?;
    let document = Document::new(text);
    let parent = document.at(parent)?.ok_or_else(nowhere)?;
    let level = document.level(&parent)?.ok_or_else(nowhere)?;
    let bytes = document.bytes();
    let place = place_of(&level, bytes, &token);
    let (span, insert) = match (place, &edit.value) {
        (Some(place), Some(value)) => (level.entries()[place].value.clone(), value.clone()),
        (Some(place), None) => (removal(&level, place), String::new()),
        (None, Some(value)) => {
            let prefix = match level.is_object() {
                true => format!("{}:", serde_json::Value::from(&*token)),
                false if token == "-" => String::new(),
                false => return Err(nowhere()),
            };
            let comma = if level.entries().is_empty() { "" } else { "," };
            let end = parent.end - 1;
            (end..end, format!("{comma}{prefix}{value}"))
        }
        (None, None) => return Err(nowhere()),
    };
    let mut out = Vec::with_capacity(bytes.len() + insert.len());
    out.extend_from_slice(&bytes[..span.start]);
    out.extend_from_slice(insert.as_bytes());
    out.extend_from_slice(&bytes[span.end..]);
    Ok(out.into())
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

fn place_of(level: &Level, bytes: &[u8], token: &str) -> Option<usize> {
    if !level.is_object() {
        return index(token).filter(|place| *place < level.entries().len());
    }
    level
        .entries()
        .iter()
        .position(|entry| key_text(bytes, &entry.key) == token)
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

    #[track_caller]
    fn check(text: &str, edits: &[(&str, Option<&str>)], expect: Result<&str, &str>) {
        let edits: Vec<_> = edits
            .iter()
            .map(|(pointer, value)| Edit {
                pointer: (*pointer).to_owned(),
                value: value.map(str::to_owned),
            })
            .collect();
        let done = apply(&Bytes::copy_from_slice(text.as_bytes()), &edits);
        let done = done.map_err(|error| error.to_string());
        assert_eq!(
            done.as_deref(),
            expect
                .map(str::as_bytes)
                .map_err(str::to_owned)
                .as_deref()
                .map_err(|e| e)
        );
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
