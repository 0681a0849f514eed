//! A JSON text that is read here and there, by RFC 6901 pointers, without a tree.
//!
//! Each object or array that a pointer passes through is walked once: its members' places are kept, what is inside
//! them is skipped, but for small objects, which are noted on the way: the pointer probably goes on into one of them.
//! Reading one value of a long text costs the walk on the first time and a look-up from then on.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use thiserror::Error;

use super::scan::Span;

/// A JSON text and what has been read of it. The text must have been scanned ([`scan`](super::scan::scan)): it is not
/// checked again.
#[derive(Debug)]
pub struct Document {
    bytes: Bytes,
    /// Sorted by the offset of their bracket: there are few. A std mutex: held for look-ups and single walks.
    levels: Mutex<Levels>,
}

type Levels = Vec<(usize, Arc<Level>)>;

/// An object holds a key twice: what stands at a pointer through it is anybody's guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an object of the message holds a key twice, at byte {at}")]
pub struct Ambiguous {
    /// Offset of the object.
    pub at: usize,
}

/// The members of one object or the elements of one array.
#[derive(Debug)]
pub struct Level {
    entries: Vec<Entry>,
    /// Places in `entries` by key, where an object has many.
    by_key: HashMap<Box<str>, usize>,
    is_object: bool,
}

/// One member or element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key with its quotes, of a member; empty for an element.
    pub key: Span,
    /// The value.
    pub value: Span,
}

/// From this many members on, an object's keys are looked up in a map.
const KEYS_COMPARED: usize = 12;
/// So deep inside a walked object others are noted: from a message to its `params` to their `arguments`.
const NOTED_DEPTH: usize = 2;

impl Document {
    /// Returns a document of a text that has been scanned.
    pub fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            levels: Mutex::default(),
        }
    }

    /// Returns the whole text.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the text of a value.
    pub fn text(&self, span: Span) -> &str {
        std::str::from_utf8(&self.bytes[span])
            .expect("a scanned text is UTF-8, and values begin and end at its tokens")
    }

    /// Returns where the value at a pointer stands; `None` where there is none, and for what is no pointer.
    ///
    /// # Errors
    /// An object on the way holds a key twice.
    pub fn at(&self, pointer: &str) -> Result<Option<Span>, Ambiguous> {
        let mut span = trimmed(&self.bytes);
        let Some(rest) = pointer.strip_prefix('/') else {
            return Ok(pointer.is_empty().then_some(span));
        };
        let mut levels = self.lock();
        for token in rest.split('/') {
            let Some(token) = unescaped(token) else {
                return Ok(None);
            };
            let Some(level) = self.known(&mut levels, &span)? else {
                return Ok(None);
            };
            let Some(place) = level.place(&self.bytes, &token) else {
                return Ok(None);
            };
            span = level.entries[place].value.clone();
        }
        Ok(Some(span))
    }

    /// Returns where a member of the object that stands at a place has its value; `None` where there is none.
    ///
    /// # Errors
    /// The object holds a key twice.
    pub fn member(&self, object: &Span, key: &str) -> Result<Option<Span>, Ambiguous> {
        let Some(level) = self.level(object)?.filter(|level| level.is_object) else {
            return Ok(None);
        };
        let place = level.place(&self.bytes, key);
        Ok(place.map(|place| level.entries[place].value.clone()))
    }

    /// Returns what is inside the object or array that stands at a place; `None` for any other value.
    ///
    /// # Errors
    /// It holds a key twice.
    pub fn level(&self, span: &Span) -> Result<Option<Arc<Level>>, Ambiguous> {
        Ok(self.known(&mut self.lock(), span)?.cloned())
    }

    fn known<'a>(&self, levels: &'a mut Levels, span: &Span) -> Result<Option<&'a Arc<Level>>, Ambiguous> {
        if !matches!(self.bytes.get(span.start), Some(b'{' | b'[')) {
            return Ok(None);
        }
        let place = match levels.binary_search_by_key(&span.start, |(start, _)| *start) {
            Ok(place) => place,
            Err(place) => {
                let mut walk = Walk {
                    bytes: &self.bytes,
                    noted: Vec::new(),
                };
                let level = walk.whole(span.start)?;
                levels.insert(place, (span.start, Arc::new(level)));
                for (start, level) in walk.noted {
                    if let Err(place) = levels.binary_search_by_key(&start, |(start, _)| *start) {
                        levels.insert(place, (start, level));
                    }
                }
                place
            }
        };
        Ok(Some(&levels[place].1))
    }

    fn lock(&self) -> MutexGuard<'_, Levels> {
        self.levels.lock().expect("no holder panics")
    }
}

impl Level {
    /// Returns the members or elements, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns whether it is an object's.
    pub fn is_object(&self) -> bool {
        self.is_object
    }

    /// Returns the keys, in their order; none for an array.
    pub fn keys<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Cow<'a, str>> {
        self.entries
            .iter()
            .filter(|_| self.is_object)
            .map(|entry| key_text(bytes, &entry.key))
    }

    /// Returns the place of the entry that a token of a pointer names.
    pub(super) fn place(&self, bytes: &[u8], token: &str) -> Option<usize> {
        if !self.is_object {
            return index(token).filter(|place| *place < self.entries.len());
        }
        if !self.by_key.is_empty() {
            return self.by_key.get(token).copied();
        }
        self.entries
            .iter()
            .position(|entry| is_key(bytes, &entry.key, token))
    }

    fn has_unique_keys(&mut self, bytes: &[u8]) -> bool {
        let keys = self.entries.iter().map(|entry| key_text(bytes, &entry.key));
        if self.entries.len() < KEYS_COMPARED {
            let keys: Vec<_> = keys.collect();
            return keys
                .iter()
                .enumerate()
                .all(|(place, key)| !keys[..place].contains(key));
        }
        self.by_key = keys.enumerate().map(|(place, key)| (key.into(), place)).collect();
        self.by_key.len() == self.entries.len()
    }
}

/// A walk through one object or array, from its beginning to its end.
struct Walk<'a> {
    bytes: &'a [u8],
    /// Small objects that it came by.
    noted: Levels,
}

impl Walk<'_> {
    /// Walks the object or array that begins at `start`.
    fn whole(&mut self, start: usize) -> Result<Level, Ambiguous> {
        let (level, _) = self.entries(start, NOTED_DEPTH, usize::MAX);
        let mut level = level.expect("as many as there are");
        if level.is_object && !level.has_unique_keys(self.bytes) {
            return Err(Ambiguous { at: start });
        }
        Ok(level)
    }

    /// Passes by an object and notes it if it is small. One that holds a key twice is left to whoever reads through it.
    fn small_object(&mut self, start: usize, depth: usize) -> usize {
        let (level, end) = self.entries(start, depth, KEYS_COMPARED - 1);
        if let Some(mut level) = level
            && level.has_unique_keys(self.bytes)
        {
            self.noted.push((start, Arc::new(level)));
        }
        end
    }

    /// Returns the entries of what begins at `start`, if they are not more than so many, and where it ends.
    fn entries(&mut self, start: usize, depth: usize, max: usize) -> (Option<Level>, usize) {
        let bytes = self.bytes;
        let is_object = bytes[start] == b'{';
        let mut entries = Vec::new();
        let mut at = space_end(bytes, start + 1);
        while !matches!(bytes[at], b'}' | b']') {
            if entries.len() == max {
                return (None, container_rest(bytes, at));
            }
            let key = if is_object {
                let key = at..string_end(bytes, at);
                at = space_end(bytes, key.end);
                at = space_end(bytes, at + 1);
                key
            } else {
                0..0
            };
            let end = match bytes[at] {
                b'{' if is_object && depth > 0 => self.small_object(at, depth - 1),
                _ => value_end(bytes, at),
            };
            let value = at..end;
            at = space_end(bytes, end);
            if bytes[at] == b',' {
                at = space_end(bytes, at + 1);
            }
            entries.push(Entry { key, value });
        }
        let level = Level {
            entries,
            by_key: HashMap::new(),
            is_object,
        };
        (Some(level), at + 1)
    }
}

/// Returns the index that a token of a pointer names (RFC 6901 §4): no sign, no leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}

/// Returns a token of a pointer without its escapes; `None` if it has others than `~0` and `~1`.
pub(super) fn unescaped(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let mut parts = token.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        let (plain, rest) = match part.as_bytes().first()? {
            b'0' => ('~', &part[1..]),
            b'1' => ('/', &part[1..]),
            _ => return None,
        };
        text.push(plain);
        text.push_str(rest);
    }
    Some(Cow::Owned(text))
}

/// Returns whether the key that stands with its quotes at `span` is this one.
fn is_key(bytes: &[u8], span: &Span, key: &str) -> bool {
    let raw = &bytes[span.start + 1..span.end - 1];
    raw == key.as_bytes() && !raw.contains(&b'\\') || raw.contains(&b'\\') && key_text(bytes, span) == key
}

/// Returns the text of a key that stands with its quotes at `span`.
fn key_text<'a>(bytes: &'a [u8], span: &Span) -> Cow<'a, str> {
    let quoted = &bytes[span.clone()];
    let raw = &quoted[1..quoted.len() - 1];
    if !raw.contains(&b'\\') {
        return String::from_utf8_lossy(raw);
    }
    // A lone surrogate has no text; such keys are compared as written.
    serde_json::from_slice(quoted).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Owned)
}

fn trimmed(bytes: &[u8]) -> Span {
    let start = space_end(bytes, 0);
    start..bytes.trim_ascii_end().len().max(start)
}

fn space_end(bytes: &[u8], from: usize) -> usize {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    from + bytes[from..].iter().take_while(|byte| space(byte)).count()
}

/// Returns where the string that begins at `start` ends, after its quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at += string_stop(&bytes[at..]);
        match bytes[at] {
            b'"' => return at + 1,
            _ => at += 2,
        }
    }
}

/// Returns how far it is to a quote or a backslash. Most strings are too short for a search that has to be prepared.
fn string_stop(bytes: &[u8]) -> usize {
    let (near, far) = bytes.split_at(bytes.len().min(16));
    let stops = |byte: &u8| matches!(byte, b'"' | b'\\');
    let stop = near.iter().position(stops);
    stop.unwrap_or_else(|| near.len() + memchr::memchr2(b'"', b'\\', far).unwrap_or(far.len()))
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes[start] {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => container_rest(bytes, start + 1),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            start + bytes[start..].iter().take_while(|byte| !ends(byte)).count()
        }
    }
}

/// Returns where the object or array ends that `from` is inside of.
fn container_rest(bytes: &[u8], from: usize) -> usize {
    let mut depth = 1_usize;
    let mut at = from;
    loop {
        let structural = |byte: &u8| STRUCTURAL[usize::from(*byte)];
        let next = bytes[at..].iter().position(structural);
        at += next.expect("a scanned text closes what it opens");
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            _ => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
        }
        at += 1;
    }
}

/// What begins or ends an object, an array or a string.
const STRUCTURAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = matches!(byte as u8, b'"' | b'{' | b'}' | b'[' | b']');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
