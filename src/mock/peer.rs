//! What the mock knows about its one client.

use std::collections::BTreeSet;

use serde_json::Value;

use super::event::{Event, Reach};
use super::question::Ask;
use crate::protocol::ProtocolVersion;

const LEVELS: [&str; 8] = [
    "debug",
    "info",
    "notice",
    "warning",
    "error",
    "critical",
    "alert",
    "emergency",
];

/// A severity of `notifications/message`. More severe ones compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

impl Level {
    pub(crate) const INFO: Self = Self(1);

    pub(crate) fn named(name: &str) -> Option<Self> {
        LEVELS.iter().position(|level| *level == name).map(Self)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        LEVELS[self.0]
    }
}

/// The client as its `initialize` and its later requests describe it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Whether there was an `initialize`.
    pub(crate) has_shaken_hands: bool,
    pub(crate) version: ProtocolVersion,
    /// The version as it was answered; another text than `version`'s only where an option pins it.
    pub(crate) version_told: String,
    pub(crate) capabilities: Value,
    pub(crate) client_info: Value,
    pub(crate) level: Level,
    pub(crate) subscriptions: BTreeSet<String>,
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            has_shaken_hands: false,
            version: ProtocolVersion::LATEST,
            version_told: ProtocolVersion::LATEST.as_str().to_owned(),
            capabilities: Value::Null,
            client_info: Value::Null,
            level: Level::INFO,
            subscriptions: BTreeSet::new(),
        }
    }
}

impl Peer {
    /// Returns whether an event is told to this client.
    pub(crate) fn hears(&self, event: &Event, reach: Reach) -> bool {
        let wants = match event {
            Event::ListChanged(_) => true,
            Event::Updated(uri) => reach == Reach::Everyone || self.subscriptions.contains(uri),
            Event::Task(..) => false,
        };
        self.has_shaken_hands && wants
    }

    /// Tells whether the client may be asked all of it.
    pub(crate) fn may_all_be_asked(&self, ask: &Ask) -> Result<(), String> {
        let mut questions = ask.questions.iter();
        questions.try_for_each(|question| self.may_be_asked(&question.method))
    }

    /// Tells whether the client may be asked `method`; if not, the error says what is missing.
    pub(crate) fn may_be_asked(&self, method: &str) -> Result<(), String> {
        let (capability, since) = match method {
            "sampling/createMessage" => ("sampling", ProtocolVersion::V2024_11_05),
            "roots/list" => ("roots", ProtocolVersion::V2024_11_05),
            "elicitation/create" => ("elicitation", ProtocolVersion::V2025_06_18),
            _ => return Ok(()),
        };
        if self.version < since {
            return Err(format!(
                "{method} needs protocol version {} or later",
                since.as_str()
            ));
        }
        if !self.capabilities.get(capability).is_some_and(Value::is_object) {
            return Err(format!("the client did not declare the {capability} capability"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_ordered_by_severity() {
        assert!(Level::named("debug").unwrap() < Level::INFO);
        assert!(Level::named("emergency").unwrap() > Level::named("alert").unwrap());
        assert_eq!(Level::named("loud"), None);
    }

    #[test]
    fn only_what_was_declared_may_be_asked() {
        let mut peer = Peer {
            capabilities: json!({ "elicitation": {}, "roots": null }),
            ..Peer::default()
        };
        assert_eq!(peer.may_be_asked("elicitation/create"), Ok(()));
        assert_eq!(peer.may_be_asked("ping"), Ok(()));
        assert!(
            peer.may_be_asked("sampling/createMessage")
                .unwrap_err()
                .contains("sampling capability")
        );
        assert!(peer.may_be_asked("roots/list").is_err());
        peer.version = ProtocolVersion::V2025_03_26;
        assert!(
            peer.may_be_asked("elicitation/create")
                .unwrap_err()
                .contains("2025-06-18")
        );
    }
}
