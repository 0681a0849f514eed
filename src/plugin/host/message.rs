//! `message`: the message of the call in progress, read in place.

use crate::plugin::bindings::host::message::{Host, Value};
use crate::plugin::bindings::host::types;
use crate::plugin::error::{ErrorKind, Stopped};
use crate::plugin::state::State;
use crate::protocol::document::{Ambiguous, Document, Level};

impl types::Host for State {}

impl From<Ambiguous> for Stopped {
    fn from(error: Ambiguous) -> Self {
        Self::new(ErrorKind::Message, error.to_string())
    }
}

impl State {
    fn document(&self) -> Option<&Document> {
        self.subject.as_ref().map(|subject| &*subject.message)
    }

    fn value(&mut self, pointer: &str) -> Result<Option<Value>, Stopped> {
        self.count()?;
        let Some(span) = self
            .document()
            .map(|document| document.at(pointer))
            .transpose()?
            .flatten()
        else {
            return Ok(None);
        };
        self.copy(span.len())?;
        let text = self.document().map_or("null", |document| document.text(span));
        Ok(Some(match text.as_bytes()[0] {
            b'n' => Value::Null,
            b't' => Value::Boolean(true),
            b'f' => Value::Boolean(false),
            b'"' => Value::Text(plain(text)),
            b'{' | b'[' => Value::Json(text.to_owned()),
            _ => Value::Number(text.to_owned()),
        }))
    }

    fn level<T>(
        &mut self,
        pointer: &str,
        read: impl FnOnce(&Document, &Level) -> T,
    ) -> Result<Option<T>, Stopped> {
        self.count()?;
        let Some(document) = self.document() else {
            return Ok(None);
        };
        let Some(span) = document.at(pointer)? else {
            return Ok(None);
        };
        Ok(document.level(&span)?.map(|level| read(document, &level)))
    }
}

/// Returns the text of a JSON string. A lone surrogate, which has none, becomes U+FFFD.
fn plain(quoted: &str) -> String {
    let inner = &quoted[1..quoted.len() - 1];
    if !inner.contains('\\') {
        return inner.to_owned();
    }
    serde_json::from_str(quoted).unwrap_or_else(|_| {
        let bytes: Result<serde_bytes_text::Lossy, _> = serde_json::from_str(quoted);
        bytes.map_or_else(|_| inner.to_owned(), |text| text.0)
    })
}

mod serde_bytes_text {
    //! serde_json gives the bytes of a string with lone surrogates, but not its text.

    use serde::de::{Deserialize, Deserializer, Visitor};

    pub(super) struct Lossy(pub(super) String);

    impl<'de> Deserialize<'de> for Lossy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Bytes;
            impl Visitor<'_> for Bytes {
                type Value = Lossy;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a string")
                }
                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Lossy, E> {
                    Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
                }
                fn visit_str<E>(self, text: &str) -> Result<Lossy, E> {
                    Ok(Lossy(text.to_owned()))
                }
            }
            deserializer.deserialize_bytes(Bytes)
        }
    }
}

impl Host for State {
    fn get(&mut self, pointer: String) -> wasmtime::Result<Option<Value>> {
        Ok(self.value(&pointer)?)
    }

    fn get_many(&mut self, pointers: Vec<String>) -> wasmtime::Result<Vec<Option<Value>>> {
        let values: Result<_, Stopped> = pointers.iter().map(|pointer| self.value(pointer)).collect();
        Ok(values?)
    }

    fn keys(&mut self, pointer: String) -> wasmtime::Result<Option<Vec<String>>> {
        let keys = self.level(&pointer, |document, level| {
            level
                .is_object()
                .then(|| level.keys(document.bytes()).map(String::from).collect())
        })?;
        let keys: Option<Vec<String>> = keys.flatten();
        let bytes = keys
            .iter()
            .flatten()
            .map(|key| key.len() + size_of::<u64>())
            .sum();
        self.copy(bytes)?;
        Ok(keys)
    }

    fn len(&mut self, pointer: String) -> wasmtime::Result<Option<u32>> {
        let len = self.level(&pointer, |_, level| level.entries().len())?;
        Ok(len.map(|len| u32::try_from(len).unwrap_or(u32::MAX)))
    }

    fn text(&mut self) -> wasmtime::Result<Result<String, String>> {
        self.count()?;
        let Some(len) = self.document().map(|document| document.bytes().len()) else {
            return Ok(Err("there is no message outside of a hook".to_owned()));
        };
        if !self.may_copy(len) {
            let limit = self.shared.limits.body_copy_max;
            return Ok(Err(format!(
                "the message has {len} bytes, and the plugin may copy {limit} in one call (body-copy-max)"
            )));
        }
        Ok(Ok(self
            .document()
            .map_or("", |document| document.text(0..len))
            .to_owned()))
    }
}
