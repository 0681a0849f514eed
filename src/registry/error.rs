//! What the registry refuses, under the codes that its users know.

use thiserror::Error;

use crate::config::ServerName;

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// The registration breaks a rule; each violation names its key.
    #[error("the registration is not valid: {}", .0.join("; "))]
    InvalidRegistration(Vec<String>),
    /// No server of that name.
    #[error("no server is registered under the name {0:?}; GET /admin/v1/servers lists them")]
    ServerNotFound(String),
    /// The name or the path is taken.
    #[error("{0}")]
    DuplicateServer(String),
    /// The server is not in a state for that.
    #[error("server {server}: {message}")]
    InvalidState {
        /// Which one.
        server: ServerName,
        /// What state it is in and what to do first.
        message: String,
    },
}

impl RegistryError {
    /// Returns the public code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRegistration(_) => "invalid_registration",
            Self::ServerNotFound(_) => "server_not_found",
            Self::DuplicateServer(_) => "duplicate_server",
            Self::InvalidState { .. } => "invalid_state",
        }
    }
}
