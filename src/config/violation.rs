//! What is wrong with a configuration, and where: every violation at once, each with its place, its key
//! and a remedy.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The embedded defaults.
    Default,
    /// A file.
    File(Arc<Path>),
    /// An environment variable, by name.
    Variable(Arc<str>),
    /// A flag of the command line.
    Flag,
    /// The body of a request to the running API.
    Request,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Variable(name) => write!(formatter, "variable {name}"),
            Self::Flag => formatter.write_str("flag"),
            Self::Request => formatter.write_str("request"),
        }
    }
}

/// One thing that is wrong. It never contains the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where the value was written.
    pub place: Place,
    /// The path of the key, such as `servers.time.linger`; empty if it concerns the whole place.
    pub key: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(formatter, "{}: {}", self.place, self.message),
            key => write!(formatter, "{}: {key}: {}", self.place, self.message),
        }
    }
}

/// Why a configuration was refused. Displays one line per violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Everything that is wrong, at least one.
    pub violations: Vec<Violation>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{violation}")?;
        }
        Ok(())
    }
}

/// Collects violations and warnings during one pass. Shared by all that read in this pass, on one thread.
#[derive(Debug, Default)]
pub(super) struct Findings {
    violations: RefCell<Vec<Violation>>,
    warnings: RefCell<Vec<Violation>>,
}

impl Findings {
    /// Adds a violation.
    pub(super) fn refuse(&self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        let violation = Violation {
            place: place.clone(),
            key: key.into(),
            message: message.into(),
        };
        self.violations.borrow_mut().push(violation);
    }

    /// Adds a warning.
    pub(super) fn warn(&self, place: &Place, key: impl Into<String>, message: impl Into<String>) {
        let warning = Violation {
            place: place.clone(),
            key: key.into(),
            message: message.into(),
        };
        self.warnings.borrow_mut().push(warning);
    }

    /// Returns `value` with the warnings if nothing was refused, otherwise all violations.
    pub(super) fn conclude<T>(self, value: T) -> Result<(T, Vec<Violation>), Vec<Violation>> {
        match self.violations.into_inner() {
            violations if violations.is_empty() => Ok((value, self.warnings.into_inner())),
            violations => Err(violations),
        }
    }

    /// Returns what was refused so far.
    #[cfg(test)]
    pub(super) fn lines(&self) -> Vec<String> {
        self.violations.borrow().iter().map(ToString::to_string).collect()
    }
}
