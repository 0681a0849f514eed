//! One pass over a JSON-RPC text: is it JSON, how deep, are its keys unique, and where are the parts we read.
//!
//! No tree is built and nothing is allocated for ordinary messages. The scanner accepts what RFC 8259 accepts, no
//! more; what it accepts is forwarded byte for byte.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use thiserror::Error;

use super::modern::meta::LOG_LEVEL;
use super::swar::string_stop;

/// Where a value stands in the text.
pub type Span = Range<usize>;

/// How strict a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions {
    /// Objects and arrays inside one another, at most; the message itself counts as one.
    pub depth_max: usize,
    /// Where a repeated key is an error.
    pub unique_keys: UniqueKeys,
}

/// Where a repeated key is an error. Two readers that pick different ones of two equal keys would disagree on what
/// was authorised, so clients are held to it everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UniqueKeys {
    /// At every depth.
    Everywhere,
    /// In the envelope, in `params` and in `params._meta`.
    Envelope,
}

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScanError {
    /// The text is not JSON.
    #[error("not valid JSON at byte {at}: {expected}")]
    Syntax {
        /// Offset of the first byte that does not fit.
        at: usize,
        /// What would have fitted.
        expected: &'static str,
    },
    /// The text is not UTF-8.
    #[error("not valid UTF-8 at byte {at}")]
    Encoding {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Objects and arrays are nested deeper than allowed.
    #[error("nested deeper than {depth_max} levels at byte {at}")]
    Depth {
        /// Offset of the bracket that is too deep.
        at: usize,
        /// The limit.
        depth_max: usize,
    },
    /// A key stands twice in one object.
    #[error("the key {key:?} stands twice in one object, at byte {at}")]
    DuplicateKey {
        /// Offset of the second one.
        at: usize,
        /// The key, cut to a readable length.
        key: String,
    },
    /// The text is JSON, but neither an object nor an array.
    #[error("a JSON-RPC message is an object")]
    NotAnObject,
}

/// Where the parts of a JSON-RPC message stand. What is absent is `None`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Spans {
    /// `jsonrpc`.
    pub jsonrpc: Option<Span>,
    /// `id`.
    pub id: Option<Span>,
    /// `method`.
    pub method: Option<Span>,
    /// `params`.
    pub params: Option<Span>,
    /// `result`.
    pub result: Option<Span>,
    /// `error`.
    pub error: Option<Span>,
    /// `params.name`: of a tool or prompt.
    pub name: Option<Span>,
    /// `params.uri`: of a resource.
    pub uri: Option<Span>,
    /// `params.requestId`, of `notifications/cancelled`.
    pub request_id: Option<Span>,
    /// `params.progressToken`, of `notifications/progress`.
    pub progress_token: Option<Span>,
    /// `params._meta`.
    pub meta: Option<Span>,
    /// `params.requestState`, of a request that goes on with a call.
    pub request_state: Option<Span>,
    /// `params._meta.progressToken`, of a request.
    pub meta_progress_token: Option<Span>,
    /// `params._meta["io.modelcontextprotocol/logLevel"]`, of a request.
    pub meta_log_level: Option<Span>,
    /// Whether a line break stands between tokens; such a text does not fit on one line as it is.
    pub has_line_breaks: bool,
}

/// Scans one message.
///
/// # Errors
/// See [`ScanError`]; the first one met.
pub fn scan(bytes: &[u8], options: ScanOptions) -> Result<Spans, ScanError> {
    let text = check_encoding(bytes)?;
    let mut scanner = Scanner::new(text.as_bytes(), options);
    scanner.skip_space();
    if scanner.peek() != Some(b'{') {
        scanner.value(Place::Elsewhere, 0)?;
        scanner.finish()?;
        return Err(ScanError::NotAnObject);
    }
    scanner.object(Place::Envelope, 1)?;
    scanner.finish()?;
    Ok(scanner.spans)
}

/// Returns where the first `elements_max` elements of an array stand, after checking the syntax of the whole text; `None`
/// if the text does not begin as an array.
///
/// # Errors
/// As [`scan`].
pub fn scan_array(
    bytes: &[u8],
    options: ScanOptions,
    elements_max: usize,
) -> Result<Option<Vec<Span>>, ScanError> {
    let text = check_encoding(bytes)?;
    let mut scanner = Scanner::new(text.as_bytes(), options);
    scanner.skip_space();
    if scanner.peek() != Some(b'[') {
        return Ok(None);
    }
    let mut elements = Vec::new();
    scanner.array(1, &mut |span| {
        if elements.len() < elements_max {
            elements.push(span);
        }
    })?;
    scanner.finish()?;
    Ok(Some(elements))
}

fn check_encoding(bytes: &[u8]) -> Result<&str, ScanError> {
    std::str::from_utf8(bytes).map_err(|error| ScanError::Encoding {
        at: error.valid_up_to(),
    })
}

/// Which object is being read: only in three of them do we look at the keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Envelope,
    Params,
    Meta,
    Elsewhere,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    options: ScanOptions,
    spans: Spans,
    /// Keys of the objects that are open, innermost last: a stack shared by all, so that no object allocates.
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    span: Span,
    escaped: bool,
}

/// From this many keys on, an object looks them up in a set.
const KEYS_COMPARED: usize = 16;

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8], options: ScanOptions) -> Self {
        Self {
            bytes,
            at: 0,
            options,
            spans: Spans::default(),
            keys: Vec::new(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' => {}
                b'\n' | b'\r' => self.spans.has_line_breaks = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, ScanError> {
        Err(ScanError::Syntax {
            at: self.at,
            expected,
        })
    }

    fn finish(&mut self) -> Result<(), ScanError> {
        self.skip_space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            self.expected("nothing after the message")
        }
    }

    fn value(&mut self, place: Place, depth: usize) -> Result<Span, ScanError> {
        let start = self.at;
        match self.peek() {
            Some(b'{') => self.object(place, depth + 1)?,
            Some(b'[') => self.array(depth + 1, &mut |_| {})?,
            Some(b'"') => {
                self.string()?;
            }
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.expected("a value"),
        }
        Ok(start..self.at)
    }

    fn check_depth(&self, depth: usize) -> Result<(), ScanError> {
        let depth_max = self.options.depth_max;
        if depth > depth_max {
            Err(ScanError::Depth {
                at: self.at,
                depth_max,
            })
        } else {
            Ok(())
        }
    }

    fn object(&mut self, place: Place, depth: usize) -> Result<(), ScanError> {
        self.check_depth(depth)?;
        let unique = self.options.unique_keys == UniqueKeys::Everywhere || place != Place::Elsewhere;
        let base = self.keys.len();
        let mut seen = HashSet::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.expected("a key in double quotes");
            }
            let key = self.string()?;
            if unique {
                self.check_unique(base, &key, &mut seen)?;
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return self.expected("':' after a key");
            }
            self.at += 1;
            self.skip_space();
            self.member(place, &key, depth)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.expected("',' or '}'"),
            }
            self.skip_space();
        }
        self.at += 1;
        self.keys.truncate(base);
        Ok(())
    }

    fn array(&mut self, depth: usize, element: &mut dyn FnMut(Span)) -> Result<(), ScanError> {
        self.check_depth(depth)?;
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let span = self.value(Place::Elsewhere, depth)?;
            element(span);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.expected("',' or ']'"),
            }
            self.skip_space();
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the value of a key and notes its place if it is one that we read.
    fn member(&mut self, place: Place, key: &Key, depth: usize) -> Result<(), ScanError> {
        if place == Place::Elsewhere {
            self.value(Place::Elsewhere, depth)?;
            return Ok(());
        }
        let name = key_text(self.bytes, key);
        let inner = match (place, &*name) {
            (Place::Envelope, b"params") => Place::Params,
            (Place::Params, b"_meta") => Place::Meta,
            _ => Place::Elsewhere,
        };
        let span = Some(self.value(inner, depth)?);
        match (place, &*name) {
            (Place::Envelope, b"jsonrpc") => self.spans.jsonrpc = span,
            (Place::Envelope, b"id") => self.spans.id = span,
            (Place::Envelope, b"method") => self.spans.method = span,
            (Place::Envelope, b"params") => self.spans.params = span,
            (Place::Envelope, b"result") => self.spans.result = span,
            (Place::Envelope, b"error") => self.spans.error = span,
            (Place::Params, b"_meta") => self.spans.meta = span,
            (Place::Params, b"name") => self.spans.name = span,
            (Place::Params, b"uri") => self.spans.uri = span,
            (Place::Params, b"requestId") => self.spans.request_id = span,
            (Place::Params, b"progressToken") => self.spans.progress_token = span,
            (Place::Params, b"requestState") => self.spans.request_state = span,
            (Place::Meta, b"progressToken") => self.spans.meta_progress_token = span,
            (Place::Meta, name) if name == LOG_LEVEL.as_bytes() => self.spans.meta_log_level = span,
            _ => {}
        }
        Ok(())
    }

    fn check_unique(
        &mut self,
        base: usize,
        key: &Key,
        seen: &mut HashSet<Cow<'a, [u8]>>,
    ) -> Result<(), ScanError> {
        let bytes = self.bytes;
        let text = key_text(bytes, key);
        let count = self.keys.len() - base;
        let repeated = if count < KEYS_COMPARED {
            self.keys[base..]
                .iter()
                .any(|other| key_text(bytes, other) == text)
        } else {
            if count == KEYS_COMPARED && seen.is_empty() {
                seen.extend(self.keys[base..].iter().map(|other| key_text(bytes, other)));
            }
            !seen.insert(text.clone())
        };
        if repeated {
            let key_name = String::from_utf8_lossy(&text).chars().take(64).collect();
            return Err(ScanError::DuplicateKey {
                at: key.span.start,
                key: key_name,
            });
        }
        if count < KEYS_COMPARED {
            self.keys.push(key.clone());
        }
        Ok(())
    }

    /// Reads a string; the span is without the quotes.
    fn string(&mut self) -> Result<Key, ScanError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = string_stop(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.expected("no control character inside a string"),
                None => return self.expected("'\"' at the end of a string"),
            }
        }
        let span = start..self.at;
        self.at += 1;
        Ok(Key { span, escaped })
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.expected("four hexadecimal digits after \\u");
                }
                self.at += 5;
            }
            _ => return self.expected("a known escape after '\\'"),
        }
        Ok(())
    }

    fn literal(&mut self, text: &'static [u8]) -> Result<(), ScanError> {
        if !self.bytes[self.at..].starts_with(text) {
            return self.expected("true, false or null");
        }
        self.at += text.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.expected("a digit"),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), ScanError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.expected("a digit");
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }
}

/// Returns the text of a key: as it stands, or decoded where it has escapes (`"\u0069d"` is `id` to every reader).
fn key_text<'a>(bytes: &'a [u8], key: &Key) -> Cow<'a, [u8]> {
    let raw = &bytes[key.span.clone()];
    if !key.escaped {
        return Cow::Borrowed(raw);
    }
    let quoted = &bytes[key.span.start - 1..key.span.end + 1];
    match serde_json::from_slice::<String>(quoted) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        // A lone surrogate has no text; such keys are compared as written.
        Err(_) => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests;
