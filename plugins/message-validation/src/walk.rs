//! Walks through JSON text, once and without a tree: every value with the pointer to it.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::message::Value;

/// Calls `found` with each value inside a JSON text and its RFC 6901 pointer, which begins with `base`. An object or array
/// comes before what is in it.
///
/// # Errors
/// The text is no JSON, or nested deeper than 128 levels.
pub fn walk(json: &str, base: &str, found: &mut dyn FnMut(&str, Value)) -> Result<(), String> {
    let mut pointer = base.to_owned();
    let mut reader = serde_json::Deserializer::from_str(json);
    let step = Step {
        pointer: &mut pointer,
        found,
    };
    step.deserialize(&mut reader).map_err(|error| error.to_string())
}

/// Returns a text as JSON.
pub fn json(text: &str) -> String {
    serde_json::to_string(text).expect("a text is always JSON")
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
struct Step<'a> {
    pointer: &'a mut String,
    found: &'a mut dyn FnMut(&str, Value),
}

impl Step<'_> {
    fn leaf<E>(self, value: Value) -> Result<(), E> {
        (self.found)(self.pointer, value);
        Ok(())
    }

    fn below(&mut self) -> Step<'_> {
        Step {
            pointer: self.pointer,
            found: self.found,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.leaf(Value::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<(), E> {
        self.leaf(Value::Boolean(boolean))
    }

    #[expect(clippy::cast_precision_loss, reason = "rules compare numbers as doubles")]
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.leaf(Value::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "rules compare numbers as doubles")]
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.leaf(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.leaf(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.leaf(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        (self.found)(self.pointer, Value::Composite);
        let parent = self.pointer.len();
        for index in 0_usize.. {
            write!(self.pointer, "/{index}").map_err(A::Error::custom)?;
            let is_over = elements.next_element_seed(self.below())?.is_none();
            self.pointer.truncate(parent);
            if is_over {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        (self.found)(self.pointer, Value::Composite);
        let parent = self.pointer.len();
        while let Some(key) = members.next_key::<String>()? {
            self.pointer.push('/');
            self.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            members.next_value_seed(self.below())?;
            self.pointer.truncate(parent);
        }
        Ok(())
    }
}

/// The outermost value; rules have values in their configuration.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut outermost = None;
        let step = Step {
            pointer: &mut String::new(),
            found: &mut |_, value| {
                outermost.get_or_insert(value);
            },
        };
        step.deserialize(deserializer)?;
        outermost.ok_or_else(|| D::Error::custom("there is no value"))
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
