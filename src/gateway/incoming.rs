//! What a client sends in one piece: a message, or in 2025-03-26 several.

use bytes::Bytes;

use super::conversation::Session;
use crate::config::RequestConfig;
use crate::protocol::names::{code, method};
use crate::protocol::scan::{ScanOptions, UniqueKeys, scan_array};
use crate::protocol::{Message, MessageError};

/// One piece.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    One(Message),
    /// Several (2025-03-26, "Batching"): at least one, and not more than the limit.
    Batch(Vec<Message>),
}

impl Incoming {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// It is not JSON, no message, breaks a limit, or is a batch that is empty or too long.
    pub fn parse(bytes: Bytes, limits: &RequestConfig) -> Result<Self, MessageError> {
        let scan = ScanOptions {
            depth_max: limits.depth_max,
            unique_keys: UniqueKeys::Everywhere,
        };
        let is_array = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        if !is_array {
            return Message::parse(bytes, scan).map(Self::One);
        }
        let elements = scan_array(&bytes, scan, limits.batch_max + 1)?.unwrap_or_default();
        if elements.is_empty() || elements.len() > limits.batch_max {
            let message = format!(
                "a batch has 1 to {} messages (requests.batch-max)",
                limits.batch_max
            );
            return Err(refuse(message));
        }
        let messages = elements
            .into_iter()
            .map(|span| Message::parse(bytes.slice(span), scan));
        messages.collect::<Result<Vec<_>, _>>().map(Self::Batch)
    }
}

/// Returns whether a session may send these messages at once.
///
/// # Errors
/// Its version has no batches, or one of them is `initialize`.
pub fn check_batch(session: &Session, messages: &[Message]) -> Result<(), MessageError> {
    let opens = messages
        .iter()
        .any(|message| message.method() == method::INITIALIZE);
    let takes_batches = session.facts().is_some() && session.version().has_batches();
    match !opens && takes_batches {
        true => Ok(()),
        false => Err(refuse(
            "batches are a feature of protocol version 2025-03-26, and never hold initialize".to_owned(),
        )),
    }
}

fn refuse(message: String) -> MessageError {
    MessageError {
        code: code::INVALID_REQUEST,
        message,
        id: None,
    }
}
