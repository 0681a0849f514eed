//! Reads configurations. A type says with [`Configured`] how it is read from a [`Value`]; whatever does not fit becomes a
//! [`Fault`], which on its way out learns the place: `arguments[2].max: must be a number, and is a string`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::json::{Reader, Token};
use crate::quote::quoted;

/// Any JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object, in its order.
    Object(Vec<(String, Value)>),
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    place: String,
    problem: String,
}

/// What can be in a configuration.
pub trait Configured: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// The value does not fit.
    fn read(value: Value) -> Result<Self, Fault>;
}

/// Reads a whole configuration.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read<T: Configured>(json: &str) -> Result<T, String> {
    T::read(Value::parse(json)?).map_err(Fault::into_text)
}

impl Value {
    /// Reads JSON text.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(json: &str) -> Result<Self, String> {
        let mut reader = Reader::new(json);
        let value = Self::next(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    fn next(reader: &mut Reader) -> Result<Self, String> {
        Ok(match reader.token()? {
            Token::Null => Self::Null,
            Token::Boolean(boolean) => Self::Boolean(boolean),
            Token::Number(number) => Self::Number(number),
            Token::Text(text) => Self::Text(text),
            Token::List => {
                let mut list = Vec::new();
                while reader.next_element()? {
                    list.push(Self::next(reader)?);
                }
                Self::List(list)
            }
            Token::Object => {
                let mut members = Vec::new();
                while let Some(key) = reader.next_key()? {
                    members.push((key, Self::next(reader)?));
                }
                Self::Object(members)
            }
        })
    }

    /// Reads an object whose members are known by name: `of` takes them, and whatever it leaves is a fault.
    ///
    /// # Errors
    /// It is no object, or something in it does not fit.
    pub fn members<T>(self, of: impl FnOnce(&mut Members) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut members = Members {
            left: self.into_object()?,
            taken: Vec::new(),
        };
        let read = of(&mut members)?;
        members.end()?;
        Ok(read)
    }

    /// Reads one of several words.
    ///
    /// # Errors
    /// It is no string, or another one.
    pub fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T, Fault> {
        let text = String::read(self)?;
        let found = choices.iter().find(|(name, _)| *name == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Fault::new(format!("{} is none of {}", quoted(&text), names.join(", ")))
        })
    }

    fn into_object(self) -> Result<Vec<(String, Self)>, Fault> {
        match self {
            Self::Object(members) => Ok(members),
            other => other.misfit("an object"),
        }
    }

    fn misfit<T>(&self, wanted: &str) -> Result<T, Fault> {
        let kind = match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Number(_) => "another number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        };
        Err(Fault::new(format!("must be {wanted}, and is {kind}")))
    }
}

impl Fault {
    /// Says what is wrong; the place comes by itself.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            place: String::new(),
            problem: problem.into(),
        }
    }

    /// Returns the sentence for the operator.
    fn into_text(self) -> String {
        let place = self.place.strip_prefix('.').unwrap_or(&self.place);
        match place {
            "" => format!("the configuration {}", self.problem),
            _ => format!("{place}: {}", self.problem),
        }
    }

    fn in_member(mut self, key: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let key = if !key.is_empty() && key.bytes().all(is_plain) {
            key.to_string()
        } else {
            quoted(key)
        };
        self.place = format!(".{key}{}", self.place);
        self
    }

    fn in_element(mut self, index: usize) -> Self {
        self.place = format!("[{index}]{}", self.place);
        self
    }
}

/// The members of an object, while they are read.
#[derive(Debug)]
pub struct Members {
    left: Vec<(String, Value)>,
    taken: Vec<&'static str>,
}

impl Members {
    /// Reads a member that has to be there.
    ///
    /// # Errors
    /// It is missing, or does not fit.
    pub fn required<T: Configured>(&mut self, key: &'static str) -> Result<T, Fault> {
        self.optional(key)?
            .ok_or_else(|| Fault::new("missing").in_member(key))
    }

    /// Reads a member if it is there, and not `null`.
    ///
    /// # Errors
    /// It does not fit.
    pub fn optional<T: Configured>(&mut self, key: &'static str) -> Result<Option<T>, Fault> {
        let value = self.take(key);
        let read = value.map(|value| T::read(value).map_err(|fault| fault.in_member(key)));
        read.transpose()
    }

    /// Reads a member, or what stands for it if it is not there.
    ///
    /// # Errors
    /// It does not fit.
    pub fn or_default<T: Configured + Default>(&mut self, key: &'static str) -> Result<T, Fault> {
        self.optional(key).map(Option::unwrap_or_default)
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.taken.push(key);
        let index = self.left.iter().position(|(name, _)| name == key)?;
        let (_, value) = self.left.swap_remove(index);
        (value != Value::Null).then_some(value)
    }

    fn end(self) -> Result<(), Fault> {
        let Some((key, _)) = self.left.first() else {
            return Ok(());
        };
        let problem = if self.taken.contains(&key.as_str()) {
            "stands here twice".to_string()
        } else {
            format!("unknown; there are {}", self.taken.join(", "))
        };
        Err(Fault::new(problem).in_member(key))
    }
}

impl Configured for Value {
    fn read(value: Value) -> Result<Self, Fault> {
        Ok(value)
    }
}

impl Configured for bool {
    fn read(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Boolean(boolean) => Ok(boolean),
            other => other.misfit("true or false"),
        }
    }
}

impl Configured for f64 {
    fn read(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Number(number) if number.is_finite() => Ok(number),
            other => other.misfit("a number"),
        }
    }
}

impl Configured for u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::float_cmp,
        reason = "only what is the same afterwards is taken"
    )]
    fn read(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Number(number) if f64::from(number as u32) == number => Ok(number as u32),
            other => other.misfit("a whole number from 0 to 4294967295"),
        }
    }
}

impl Configured for String {
    fn read(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Text(text) => Ok(text),
            other => other.misfit("a string"),
        }
    }
}

impl<T: Configured> Configured for Vec<T> {
    fn read(value: Value) -> Result<Self, Fault> {
        let Value::List(elements) = value else {
            return value.misfit("a list");
        };
        let read = |(index, value)| T::read(value).map_err(|fault: Fault| fault.in_element(index));
        elements.into_iter().enumerate().map(read).collect()
    }
}

/// Things by names that the operator chooses. In a list, because they are few: hashing costs more than comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T>(Vec<(String, T)>);

impl<T> Named<T> {
    /// Returns what has a name.
    pub fn get(&self, name: &str) -> Option<&T> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, thing)| thing)
    }

    /// Returns all of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &(String, T)> {
        self.0.iter()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Configured> Configured for Named<T> {
    fn read(value: Value) -> Result<Self, Fault> {
        let mut named = Vec::new();
        for (name, value) in value.into_object()? {
            let thing = T::read(value).map_err(|fault| fault.in_member(&name))?;
            named.push((name, thing));
        }
        Ok(Self(named))
    }
}

#[cfg(test)]
mod tests;
