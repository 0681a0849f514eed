//! The protocol versions the mock speaks, oldest first, and their negotiation.

/// A version of the handshake era. Later ones compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
}

impl Version {
    pub(crate) const ALL: [Self; 4] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
    ];
    pub(crate) const LATEST: Self = Self::V2025_11_25;

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// Returns the version of that name, if it is one of ours.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == name)
    }

    /// Returns what a server answers to a client that asks for `requested`: that, or its own latest.
    pub(crate) fn negotiate(requested: &str) -> Self {
        Self::named(requested).unwrap_or(Self::LATEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_version_is_echoed_and_any_other_gets_the_latest() {
        for version in Version::ALL {
            assert_eq!(Version::negotiate(version.as_str()), version);
        }
        assert_eq!(Version::negotiate("2026-07-28"), Version::V2025_11_25);
        assert_eq!(Version::negotiate("nonsense"), Version::V2025_11_25);
        assert!(Version::ALL.is_sorted());
    }
}
