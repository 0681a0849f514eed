//! Ids of server-sent events: unique in a session, and telling which stream they belong to.

use std::fmt;
use std::str::FromStr;

/// `{stream}-{sequence}`, both in decimal. Stream 0 is the one that `GET` opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId {
    /// Which stream of the session.
    pub stream: u32,
    /// Which event of the stream; 0 is the priming event, before any message.
    pub sequence: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.stream, self.sequence)
    }
}

impl FromStr for EventId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (stream, sequence) = text.split_once('-').ok_or(())?;
        Ok(Self {
            stream: stream.parse().map_err(drop)?,
            sequence: sequence.parse().map_err(drop)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let id = EventId {
            stream: 3,
            sequence: 17,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "3", "3-", "-1", "a-b", "3-17-1", "99999999999-1"] {
            assert_eq!(bad.parse::<EventId>(), Err(()), "{bad}");
        }
    }
}
