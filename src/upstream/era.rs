//! Which eras a server speaks: found out by its instances at their handshakes, remembered for all of them.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::protocol::Era;

const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

/// What is known of a server. It is a property of the server, so all its instances share this.
#[derive(Debug, Default)]
pub struct Eras {
    /// The only one that may be spoken, by configuration.
    pinned: Option<Era>,
    handshake: AtomicU8,
    modern: AtomicU8,
}

impl Eras {
    /// Returns that nothing is known but what the configuration says.
    pub fn new(pinned: Option<Era>) -> Self {
        Self {
            pinned,
            ..Self::default()
        }
    }

    /// Returns whether the server speaks an era, if that is known.
    pub fn speaks(&self, era: Era) -> Option<bool> {
        if let Some(pinned) = self.pinned {
            return Some(era == pinned);
        }
        match self.of(era).load(Ordering::Relaxed) {
            UNKNOWN => None,
            known => Some(known == YES),
        }
    }

    /// Returns the era that an instance tries first for somebody who speaks `wanted`.
    pub fn first_for(&self, wanted: Era) -> Era {
        match self.speaks(wanted) {
            Some(false) => other(wanted),
            Some(true) | None => wanted,
        }
    }

    /// Returns the era to try if the first one fails; `None` where that is known to be in vain.
    pub fn second_after(&self, first: Era) -> Option<Era> {
        (self.speaks(other(first)) != Some(false)).then(|| other(first))
    }

    /// Notes what an instance has found out. A server that speaks none is a server that nothing is known of.
    pub fn note(&self, era: Era, speaks: bool) {
        let known = if speaks { YES } else { NO };
        self.of(era).store(known, Ordering::Relaxed);
        if !speaks && self.speaks(other(era)) == Some(false) {
            self.forget();
        }
    }

    /// Forgets what was found out: it has turned out wrong, perhaps another version is installed.
    pub fn forget(&self) {
        self.handshake.store(UNKNOWN, Ordering::Relaxed);
        self.modern.store(UNKNOWN, Ordering::Relaxed);
    }

    fn of(&self, era: Era) -> &AtomicU8 {
        match era {
            Era::Handshake => &self.handshake,
            Era::Modern => &self.modern,
        }
    }
}

fn other(era: Era) -> Era {
    match era {
        Era::Handshake => Era::Modern,
        Era::Modern => Era::Handshake,
    }
}

#[cfg(test)]
mod tests {
    use super::Era::{Handshake, Modern};
    use super::*;

    #[test]
    fn what_was_found_out_decides() {
        let eras = Eras::new(None);
        assert_eq!(
            (eras.first_for(Modern), eras.second_after(Modern)),
            (Modern, Some(Handshake))
        );
        eras.note(Modern, false);
        assert_eq!(
            (eras.first_for(Modern), eras.second_after(Handshake)),
            (Handshake, None)
        );
        eras.note(Handshake, true);
        assert_eq!(eras.speaks(Handshake), Some(true));
        eras.note(Handshake, false);
        assert_eq!(
            (eras.speaks(Handshake), eras.speaks(Modern)),
            (None, None),
            "none is no answer"
        );
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let eras = Eras::new(Some(Modern));
        eras.note(Modern, false);
        eras.note(Handshake, true);
        assert_eq!(
            (eras.first_for(Handshake), eras.second_after(Modern)),
            (Modern, None)
        );
    }
}
