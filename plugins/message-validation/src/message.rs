//! The message and its circumstances, as the policy sees them. The gateway keeps the message; what is read of it is asked
//! for by pointer, and only that is copied.

use alloc::string::String;
use alloc::vec::Vec;

use kit::config::{self, Configured, Fault};

/// A JSON value, as far as rules can judge it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as near as a double comes.
    Number(f64),
    /// A string.
    Text(String),
    /// An object or an array.
    Composite,
}

/// Rules have values in their configuration.
impl Configured for Value {
    fn read(value: config::Value) -> Result<Self, Fault> {
        Ok(match value {
            config::Value::Null => Self::Null,
            config::Value::Boolean(boolean) => Self::Boolean(boolean),
            config::Value::Number(number) => Self::Number(number),
            config::Value::Text(text) => Self::Text(text),
            config::Value::List(_) | config::Value::Object(_) => Self::Composite,
        })
    }
}

/// What the gateway knows of the message in question.
pub trait Message {
    /// Returns the values at several pointers.
    fn get_many(&self, pointers: &[&str]) -> Vec<Option<Value>>;
    /// Returns the JSON text of the object or array at a pointer; none where there is neither.
    fn json(&self, pointer: &str) -> Option<String>;
    /// Returns the whole message, or why it cannot be had.
    fn text(&self) -> Result<String, String>;
    /// Returns what is wrong with the arguments of a tool call by the schema of the tool.
    fn validate_arguments(&self) -> Result<(), Vec<String>>;
}

/// Which way a message goes, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request or notification from the client.
    FromClient,
    /// A request or notification from the server.
    FromServer,
    /// The server's answer, with its result.
    Result,
    /// The server's answer, with an error.
    Error,
    /// The client's answer to the server.
    ClientAnswer,
}

/// The circumstances of a message.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// What it is.
    pub kind: Kind,
    /// The JSON-RPC method; in an answer, that of the request.
    pub method: &'a str,
    /// The tool, prompt or resource that it names.
    pub target: Option<&'a str>,
    /// The server, if it has been chosen.
    pub server: Option<&'a str>,
    /// The mode of the session.
    pub mode: Option<&'a str>,
    /// Length of the message, in bytes.
    pub size: u32,
}
