//! What the gateway and its guard say to each other, as bytes.
//!
//! Gateway to guard: a head, the order, then single bytes ([`Command`]). Guard to gateway: records of a fixed size
//! ([`Report`]). Both ends are the same build of the same program (the guard is `/proc/self/exe`), so the version in
//! the head only catches a guard executable that was named by hand.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::Exit;

/// Bytes in front of an order: the version and the order's length.
pub(super) const HEAD: usize = 8;
/// Bytes of a report.
pub(super) const RECORD: usize = 13;
/// The most bytes of an order. The kernel's own limit for arguments and environment together is 6 MiB.
pub(super) const ORDER_MAX: usize = 8 << 20;

const VERSION: [u8; 4] = *b"PG01";

/// What the gateway may say while the child runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// SIGTERM to the group.
    Terminate,
    /// SIGKILL to everything.
    Kill,
}

impl Command {
    pub(super) fn encode(self) -> u8 {
        match self {
            Self::Terminate => b'T',
            Self::Kill => b'K',
        }
    }

    pub(super) fn decode(byte: u8) -> Option<Self> {
        match byte {
            b'T' => Some(Self::Terminate),
            b'K' => Some(Self::Kill),
            _ => None,
        }
    }
}

/// Where a launch failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before anything of the order was tried.
    Guard,
    /// Making the PID namespace.
    Namespace,
    /// Entering the working directory.
    Cwd,
    /// Starting the program.
    Program,
}

/// What the guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The program runs: its pid.
    Started(u32),
    /// Nothing runs: where it failed and the system's error number.
    Failed(Stage, i32),
    /// Everything has ended: how, how many were killed after it, how many could not be.
    Ended(Exit, u32, u32),
}

impl Report {
    pub(super) fn encode(self) -> [u8; RECORD] {
        let (tag, words) = match self {
            Self::Started(pid) => (0, [pid, 0, 0]),
            Self::Failed(stage, errno) => (1, [stage as u32, errno.cast_unsigned(), 0]),
            Self::Ended(Exit::Code(code), stragglers, survivors) => {
                (2, [code.cast_unsigned(), stragglers, survivors])
            }
            Self::Ended(Exit::Signal(signal), stragglers, survivors) => {
                (3, [signal.cast_unsigned(), stragglers, survivors])
            }
            Self::Ended(Exit::Unknown | Exit::Closed | Exit::Lost(_), stragglers, survivors) => {
                (4, [0, stragglers, survivors])
            }
        };
        let mut record = [tag; RECORD];
        for (place, word) in record[1..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        record
    }

    pub(super) fn decode(record: [u8; RECORD]) -> Option<Self> {
        let word = |index: usize| {
            let at = 1 + 4 * index;
            u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
        };
        let ended = |exit| Some(Self::Ended(exit, word(1), word(2)));
        match record[0] {
            0 => Some(Self::Started(word(0))),
            1 => {
                let stages = [Stage::Guard, Stage::Namespace, Stage::Cwd, Stage::Program];
                let stage = stages.into_iter().find(|stage| *stage as u32 == word(0))?;
                Some(Self::Failed(stage, word(1).cast_signed()))
            }
            2 => ended(Exit::Code(word(0).cast_signed())),
            3 => ended(Exit::Signal(word(0).cast_signed())),
            4 => ended(Exit::Unknown),
            _ => None,
        }
    }
}

/// What the guard is to start: a [`LaunchSpec`](super::LaunchSpec) with the question of the namespace decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) namespace: bool,
    pub(super) cwd: Option<OsString>,
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
}

impl Order {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.namespace), u8::from(self.cwd.is_some())];
        put(&mut bytes, self.cwd.as_deref().unwrap_or_default());
        put(&mut bytes, &self.program);
        put_length(&mut bytes, self.args.len());
        for argument in &self.args {
            put(&mut bytes, argument);
        }
        put_length(&mut bytes, self.env.len());
        for (name, value) in &self.env {
            put(&mut bytes, name);
            put(&mut bytes, value);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        Self::take(&mut &*bytes)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the order is garbled"))
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let (flags, tail) = rest.split_at_checked(2)?;
        *rest = tail;
        let cwd = take(rest)?;
        Some(Self {
            namespace: flags[0] != 0,
            cwd: (flags[1] != 0).then_some(cwd),
            program: take(rest)?,
            args: (0..take_length(rest)?)
                .map(|_| take(rest))
                .collect::<Option<_>>()?,
            env: (0..take_length(rest)?)
                .map(|_| Some((take(rest)?, take(rest)?)))
                .collect::<Option<_>>()?,
        })
    }
}

/// The head of an order of `length` bytes.
pub(super) fn head(length: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&VERSION);
    head[4..].copy_from_slice(&length_of(length));
    head
}

/// The order's length, from its head.
pub(super) fn order_length(head: [u8; HEAD]) -> io::Result<usize> {
    let [a, b, c, d, length @ ..] = head;
    let length = u32::from_le_bytes(length) as usize;
    if [a, b, c, d] != VERSION || length > ORDER_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not an order of this version",
        ));
    }
    Ok(length)
}

fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length)
        .expect("an order is far below 4 GiB, the sender checked")
        .to_le_bytes()
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&length_of(length));
}

fn put(bytes: &mut Vec<u8>, text: &OsStr) {
    put_length(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let (length, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(u32::from_le_bytes(*length) as usize)
}

fn take(rest: &mut &[u8]) -> Option<OsString> {
    let length = take_length(rest)?;
    let (text, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(OsString::from_vec(text.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            namespace: true,
            cwd: Some("/tmp".into()),
            program: "server".into(),
            args: vec!["".into(), OsString::from_vec(vec![0xff, 0xfe])],
            env: vec![("PATH".into(), "/bin".into()), ("EMPTY".into(), "".into())],
        }
    }

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let bytes = order().encode();
        assert_eq!(Order::decode(&bytes).expect("it decodes"), order());
        let bare = Order {
            namespace: false,
            cwd: None,
            args: vec![],
            env: vec![],
            ..order()
        };
        assert_eq!(Order::decode(&bare.encode()).expect("it decodes"), bare);
    }

    #[test]
    fn an_order_cut_anywhere_is_refused() {
        let bytes = order().encode();
        for length in 0..bytes.len() {
            Order::decode(&bytes[..length]).expect_err("a part of an order is none");
        }
    }

    #[test]
    fn a_head_of_another_version_or_over_the_limit_is_refused() {
        assert_eq!(
            order_length(head(ORDER_MAX)).expect("the limit itself is allowed"),
            ORDER_MAX
        );
        order_length(head(ORDER_MAX + 1)).expect_err("over the limit");
        order_length(*b"PG00\x01\0\0\0").expect_err("another version");
    }

    #[test]
    fn reports_and_commands_arrive_as_they_were_sent() {
        for report in [
            Report::Started(u32::MAX),
            Report::Failed(Stage::Guard, 1),
            Report::Failed(Stage::Namespace, 2),
            Report::Failed(Stage::Cwd, -3),
            Report::Failed(Stage::Program, i32::MAX),
            Report::Ended(Exit::Code(-1), 2, 3),
            Report::Ended(Exit::Signal(9), 0, u32::MAX),
            Report::Ended(Exit::Unknown, 1, 0),
        ] {
            assert_eq!(Report::decode(report.encode()), Some(report));
        }
        assert_eq!(Report::decode([9; RECORD]), None);
        for command in [Command::Terminate, Command::Kill] {
            assert_eq!(Command::decode(command.encode()), Some(command));
        }
        assert_eq!(Command::decode(b'?'), None);
    }
}
