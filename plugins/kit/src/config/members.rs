//! What is in an object: members with names that are known, or things with names of the operator.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Configured, Fault, Value};

/// The members of an object, while they are read.
///
/// The first fault is kept, and told in the end: to return at each of them would be a third of the code that reads a rule.
#[derive(Debug)]
pub struct Members {
    left: Vec<(String, Value)>,
    taken: Vec<&'static str>,
    fault: Option<Fault>,
}

impl Members {
    pub(super) fn new(left: Vec<(String, Value)>) -> Self {
        Self {
            left,
            taken: Vec::new(),
            fault: None,
        }
    }

    /// Reads a member that has to be there.
    ///
    /// # Errors
    /// It is missing, or does not fit.
    pub fn required<T: Configured>(&mut self, key: &'static str) -> Result<T, Fault> {
        self.optional(key)
            .ok_or_else(|| Fault::new("missing").in_member(key))
    }

    /// Reads a member if it is there, and not `null`. One that does not fit is a fault of the whole.
    pub fn optional<T: Configured>(&mut self, key: &'static str) -> Option<T> {
        match T::read(self.take(key)?) {
            Ok(read) => Some(read),
            Err(fault) => {
                self.keep(fault, key);
                None
            }
        }
    }

    /// Reads a member, or what stands for it if it is not there. One that does not fit is a fault of the whole.
    pub fn or_default<T: Configured + Default>(&mut self, key: &'static str) -> T {
        self.optional(key).unwrap_or_default()
    }

    fn keep(&mut self, fault: Fault, key: &str) {
        self.fault.get_or_insert_with(|| fault.in_member(key));
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.taken.push(key);
        let index = self.left.iter().position(|(name, _)| name == key)?;
        let (_, value) = self.left.swap_remove(index);
        (value != Value::Null).then_some(value)
    }

    /// Returns the first fault, if there is one.
    pub(super) fn take_fault(&mut self) -> Result<(), Fault> {
        self.fault.take().map_or(Ok(()), Err)
    }

    pub(super) fn end(self) -> Result<(), Fault> {
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
