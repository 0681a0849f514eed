//! JSON text (RFC 8259), read from the beginning to the end, one token after the other. Nothing is kept: who wants a tree
//! makes one of it, such as [`Value`](crate::config::Value), and who only looks needs no memory for it.

use alloc::format;
use alloc::string::String;

use crate::number::number;

/// So many objects and arrays may be inside one another. Whoever reads them by recursion has a small stack.
const DEPTH_MAX: u32 = 128;

/// A value, or the beginning of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as [`number`] reads it.
    Number(f64),
    /// A string.
    Text(String),
    /// An array begins: what follows is for [`Reader::next_element`].
    List,
    /// An object begins: what follows is for [`Reader::next_key`].
    Object,
}

/// Where somebody is in a text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    /// What has been read, in bytes; always at the beginning of a character.
    at: usize,
    depth: u32,
    /// An object or array has just begun: no comma comes before the next thing.
    is_first: bool,
}

impl<'a> Reader<'a> {
    /// Begins to read a text.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            is_first: false,
        }
    }

    /// Reads a value, or the beginning of an object or array.
    ///
    /// # Errors
    /// There is none, or it is too deep.
    pub fn token(&mut self) -> Result<Token, String> {
        match self.peek() {
            Some(b'{') => self.open(Token::Object),
            Some(b'[') => self.open(Token::List),
            Some(b'"') => self.string().map(Token::Text),
            Some(b't') => self.word("true", Token::Boolean(true)),
            Some(b'f') => self.word("false", Token::Boolean(false)),
            Some(b'n') => self.word("null", Token::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fault("a value"),
        }
    }

    /// In an array: tells whether there is another element, which is then to be read. If not, the array is over.
    ///
    /// # Errors
    /// There is something else.
    pub fn next_element(&mut self) -> Result<bool, String> {
        self.goes_on(b']', "a comma or ]")
    }

    /// In an object: returns the next name, whose value is then to be read. If there is none, the object is over.
    ///
    /// # Errors
    /// There is something else.
    pub fn next_key(&mut self) -> Result<Option<String>, String> {
        if !self.goes_on(b'}', "a comma or }")? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return self.fault("a name in quotes");
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return self.fault("a colon");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// There is more.
    pub fn end(&mut self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fault("the end"),
        }
    }

    fn open(&mut self, token: Token) -> Result<Token, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fault("no more depth than 128 levels");
        }
        self.at += 1;
        self.is_first = true;
        Ok(token)
    }

    fn goes_on(&mut self, end: u8, expected: &str) -> Result<bool, String> {
        let is_first = core::mem::take(&mut self.is_first);
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(false);
            }
            _ if is_first => {}
            Some(b',') => self.at += 1,
            _ => return self.fault(expected),
        }
        Ok(true)
    }

    fn word(&mut self, word: &str, token: Token) -> Result<Token, String> {
        if !self.rest().starts_with(word) {
            return self.fault("a value");
        }
        self.at += word.len();
        Ok(token)
    }

    fn number(&mut self) -> Result<Token, String> {
        let is_part = |character: char| matches!(character, '0'..='9' | '-' | '+' | '.' | 'e' | 'E');
        let rest = self.rest();
        let len = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
        let Some(number) = rest.get(..len).and_then(number) else {
            return self.fault("a number");
        };
        self.at += len;
        Ok(Token::Number(number))
    }

    /// Reads a string, from its first quote.
    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let is_special = |byte: u8| matches!(byte, b'"' | b'\\' | ..=0x1f);
            let len = rest.bytes().position(is_special).unwrap_or(rest.len());
            string.push_str(rest.get(..len).unwrap_or_default());
            self.at += len;
            match rest.as_bytes().get(len) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(_) => return self.fault("no control character in a string"),
                None => return self.fault("a quote at the end of a string"),
            }
        }
    }

    /// Reads what begins with a backslash.
    fn escape(&mut self) -> Result<char, String> {
        let escaped = self.rest().as_bytes().get(1);
        let character = match escaped {
            Some(b'"' | b'\\' | b'/') => char::from(*escaped.unwrap_or(&b' ')),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => return self.unicode_escape(),
            _ => return self.fault("an escape"),
        };
        self.at += 2;
        Ok(character)
    }

    /// Reads one `\uXXXX`, or two of them that are one character.
    fn unicode_escape(&mut self) -> Result<char, String> {
        let units = [self.unit(0), self.unit(6)];
        let units = units.into_iter().map_while(|unit| unit);
        let Some(Ok(character)) = char::decode_utf16(units).next() else {
            return self.fault("an escape of a character");
        };
        self.at += 6 * character.len_utf16();
        Ok(character)
    }

    fn unit(&self, from: usize) -> Option<u16> {
        let digits = self.rest().get(from..from + 6)?.strip_prefix("\\u")?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    }

    /// Skips white space, and returns the byte that comes then.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault<T>(&self, expected: &str) -> Result<T, String> {
        Err(format!("no JSON at byte {}: expected {expected}", self.at))
    }
}

#[cfg(test)]
mod tests;
