//! Walks through JSON text, once and without a tree: every value with the pointer to it.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};

use kit::json::{Reader, Token};

use crate::message::Value;

/// Calls `found` with each value inside a JSON text and its RFC 6901 pointer, which begins with `base`. An object or array
/// comes before what is in it.
///
/// # Errors
/// The text is no JSON, or nested deeper than 128 levels.
pub fn walk(json: &str, base: &str, found: &mut dyn FnMut(&str, Value)) -> Result<(), String> {
    let mut walk = Walk {
        reader: Reader::new(json),
        pointer: base.to_owned(),
        found,
    };
    walk.value()?;
    walk.reader.end()
}

/// Returns how many objects and arrays of a JSON text are inside one another, at most.
pub fn depth(json: &str) -> u32 {
    let (mut depth, mut deepest) = (0_u32, 0);
    let mut in_text = false;
    let mut is_escaped = false;
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// At one value.
struct Walk<'a> {
    reader: Reader<'a>,
    pointer: String,
    found: &'a mut dyn FnMut(&str, Value),
}

impl Walk<'_> {
    fn value(&mut self) -> Result<(), String> {
        let token = self.reader.token()?;
        let is_list = token == Token::List;
        let value = match token {
            Token::Null => Value::Null,
            Token::Boolean(boolean) => Value::Boolean(boolean),
            Token::Number(number) => Value::Number(number),
            Token::Text(text) => Value::Text(text),
            Token::List | Token::Object => Value::Composite,
        };
        let is_leaf = value != Value::Composite;
        (self.found)(&self.pointer, value);
        match (is_leaf, is_list) {
            (true, _) => Ok(()),
            (false, true) => self.elements(),
            (false, false) => self.members(),
        }
    }

    fn elements(&mut self) -> Result<(), String> {
        let mut index = 0_u32;
        while self.reader.next_element()? {
            self.below(&index.to_string())?;
            index += 1;
        }
        Ok(())
    }

    fn members(&mut self) -> Result<(), String> {
        while let Some(key) = self.reader.next_key()? {
            self.below(&key)?;
        }
        Ok(())
    }

    /// Walks through the value of a member or element.
    fn below(&mut self, token: &str) -> Result<(), String> {
        let parent = self.pointer.len();
        self.pointer.push('/');
        for character in token.chars() {
            match character {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                _ => self.pointer.push(character),
            }
        }
        self.value()?;
        self.pointer.truncate(parent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_once_with_its_pointer() {
        let mut found = Vec::new();
        let json = r#"{"a":[1,"x\n",{"~/":null}],"b":true,"":-2.5}"#;
        walk(json, "/result", &mut |pointer, value| {
            found.push((pointer.to_owned(), value))
        })
        .expect("JSON");
        let expected = [
            ("/result", Value::Composite),
            ("/result/a", Value::Composite),
            ("/result/a/0", Value::Number(1.0)),
            ("/result/a/1", Value::Text("x\n".to_owned())),
            ("/result/a/2", Value::Composite),
            ("/result/a/2/~0~1", Value::Null),
            ("/result/b", Value::Boolean(true)),
            ("/result/", Value::Number(-2.5)),
        ];
        assert_eq!(
            found,
            expected.map(|(pointer, value)| (pointer.to_owned(), value))
        );
    }

    #[test]
    fn what_cannot_be_walked_is_an_error() {
        for json in ["", "{", "[1,]", &("[".repeat(200) + &"]".repeat(200))] {
            assert!(walk(json, "", &mut |_, _| {}).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        for (json, expected) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{}],"b":{}}"#, 3),
            (r#"{"[[[[":"{{\"[[\\"}"#, 1),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
