//! Reads configurations. A type says with [`Configured`] how it is read from a [`Value`]; whatever does not fit becomes a
//! [`Fault`], which on its way out learns the place: `arguments[2].max: must be a number, and is a string`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub use fault::Fault;
pub use members::{Members, Named};

use crate::json::{Reader, Token};
use crate::quote::quoted;

mod fault;
mod members;

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
        let mut members = Members::new(self.into_object()?);
        let read = of(&mut members);
        members.take_fault()?;
        members.end().and(read)
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
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        };
        Err(Fault::new(format!("must be {wanted}, and is {kind}")))
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
            Value::Number(_) => Err(Fault::new("too great")),
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
            Value::Number(_) => Err(Fault::new("must be whole, and from 0 to 4294967295")),
            other => other.misfit("a number"),
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
        let mut list = Self::new();
        for (index, value) in elements.into_iter().enumerate() {
            list.push(T::read(value).map_err(|fault| fault.in_element(index))?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests;
