//! The protocol versions and what differs between them on the wire.

use std::fmt;

/// A released version of MCP, in the order of release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2024-11-05: stdio and HTTP+SSE.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP; the only one with batches.
    V2025_03_26,
    /// 2025-06-18: the `MCP-Protocol-Version` header, elicitation.
    V2025_06_18,
    /// 2025-11-25: priming events, URL elicitation, experimental tasks.
    V2025_11_25,
    /// 2026-07-28: no handshake and no sessions; each request says what it speaks.
    V2026_07_28,
}

/// How a conversation opens, which is what most differences come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// With `initialize`: 2024-11-05 to 2025-11-25.
    Handshake,
    /// Not at all, each request carries what it needs in `_meta`: 2026-07-28 and later.
    Modern,
}

impl Era {
    /// Returns the name used in the API and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "legacy",
            Self::Modern => "modern",
        }
    }
}

impl ProtocolVersion {
    /// Every version that opens with `initialize`, oldest first.
    pub const HANDSHAKE: [Self; 4] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
    ];
    /// Every version without a handshake, oldest first.
    pub const MODERN: [Self; 1] = [Self::V2026_07_28];
    /// The newest version of the handshake era.
    pub const LATEST: Self = Self::V2025_11_25;
    /// What a client speaks that sends no `MCP-Protocol-Version` (2025-06-18, "Protocol Version Header").
    pub const WITHOUT_HEADER: Self = Self::V2025_03_26;

    /// Returns the version of that name that opens with `initialize`, or `None` if there is none.
    pub fn parse(text: &str) -> Option<Self> {
        Self::HANDSHAKE
            .into_iter()
            .find(|version| version.as_str() == text)
    }

    /// Returns the version of that name that has no handshake, or `None` if there is none.
    pub fn parse_modern(text: &str) -> Option<Self> {
        Self::MODERN.into_iter().find(|version| version.as_str() == text)
    }

    /// Returns the era it belongs to.
    pub fn era(self) -> Era {
        if self < Self::V2026_07_28 {
            Era::Handshake
        } else {
            Era::Modern
        }
    }

    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Returns whether a body may be an array of messages.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Returns whether a stream may open with an event without data; older parsers fail on it (SEP-1699).
    pub fn has_priming_event(self) -> bool {
        self >= Self::V2025_11_25
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order() {
        for version in ProtocolVersion::HANDSHAKE {
            assert_eq!(ProtocolVersion::parse(version.as_str()), Some(version));
            assert_eq!(ProtocolVersion::parse_modern(version.as_str()), None);
            assert_eq!(version.era(), Era::Handshake);
        }
        for version in ProtocolVersion::MODERN {
            assert_eq!(ProtocolVersion::parse_modern(version.as_str()), Some(version));
            assert_eq!(ProtocolVersion::parse(version.as_str()), None);
            assert_eq!(version.era(), Era::Modern);
        }
        assert!(ProtocolVersion::HANDSHAKE.is_sorted());
        assert!(ProtocolVersion::LATEST < ProtocolVersion::V2026_07_28);
    }
}
