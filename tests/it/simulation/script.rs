//! What a scripted peer does, decided before it starts.

use std::time::Duration;

use portcullis::upstream::launch::Exit;

use super::dice::Dice;

/// How a launch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaunchFate {
    /// It succeeds.
    Succeeds,
    /// The program does not exist.
    NotFound,
    /// The system is short of something.
    Refused,
    /// It never comes back.
    Hangs,
}

/// How the handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandshakeFate {
    Succeeds,
    Hangs,
    Refused,
    Nonsense,
    WrongVersion,
    Exits,
    ClosesOutput,
}

/// What ends a process, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obedience {
    /// It ends this long after it was told to.
    EndsAfter(Duration),
    Ignores,
}

/// Something that a peer does of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    Exits(Exit),
    ClosesOutput,
    BreaksInput,
    StopsReading,
}

/// A whole life.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) launch: LaunchFate,
    pub(super) launch_before: Duration,
    pub(super) launch_after: Duration,
    pub(super) handshake: HandshakeFate,
    pub(super) handshake_delay: Duration,
    pub(super) on_end_of_input: Obedience,
    pub(super) on_terminate: Obedience,
    pub(super) on_kill: Obedience,
    pub(super) mishap: Option<(Duration, Mishap)>,
    pub(super) answers_pings: bool,
    /// How many answers out of a hundred come with a fault.
    pub(super) nastiness: u64,
    /// How long something else keeps its output open after its end.
    pub(super) output_outlives: Option<Duration>,
    pub(super) pipe: usize,
}

const STUCK: Duration = Duration::from_secs(60);

impl Script {
    /// Decides on a life; `trouble` is how likely each kind of fault is, out of a hundred.
    pub(super) fn new(dice: &mut Dice, trouble: u64) -> Self {
        Self {
            launch: launch_fate(dice, trouble),
            launch_before: dice.time(Duration::from_secs(2)),
            launch_after: dice.time(Duration::from_secs(2)),
            handshake: handshake_fate(dice, trouble),
            handshake_delay: dice.time(Duration::from_secs(12)),
            on_end_of_input: obedience(dice, trouble),
            on_terminate: obedience(dice, trouble),
            on_kill: if dice.percent(trouble / 4) {
                Obedience::EndsAfter(STUCK)
            } else {
                Obedience::EndsAfter(dice.time(Duration::from_millis(500)))
            },
            mishap: mishap(dice, trouble),
            answers_pings: !dice.percent(trouble / 3),
            nastiness: if dice.percent(trouble) { dice.below(100) } else { 0 },
            output_outlives: dice
                .percent(trouble / 3)
                .then(|| dice.time(Duration::from_secs(5))),
            pipe: dice.pick(&[64, 1024, 64 * 1024]),
        }
    }
}

fn launch_fate(dice: &mut Dice, trouble: u64) -> LaunchFate {
    if !dice.percent(trouble / 2) {
        return LaunchFate::Succeeds;
    }
    dice.pick(&[
        LaunchFate::NotFound,
        LaunchFate::Refused,
        LaunchFate::Refused,
        LaunchFate::Hangs,
    ])
}

fn handshake_fate(dice: &mut Dice, trouble: u64) -> HandshakeFate {
    if !dice.percent(trouble / 2) {
        return HandshakeFate::Succeeds;
    }
    dice.pick(&[
        HandshakeFate::Hangs,
        HandshakeFate::Refused,
        HandshakeFate::Nonsense,
        HandshakeFate::WrongVersion,
        HandshakeFate::Exits,
        HandshakeFate::ClosesOutput,
    ])
}

fn obedience(dice: &mut Dice, trouble: u64) -> Obedience {
    if dice.percent(trouble) {
        Obedience::Ignores
    } else {
        Obedience::EndsAfter(dice.time(Duration::from_secs(4)))
    }
}

fn mishap(dice: &mut Dice, trouble: u64) -> Option<(Duration, Mishap)> {
    if !dice.percent(trouble) {
        return None;
    }
    let exit = dice.pick(&[
        Exit::Code(0),
        Exit::Code(1),
        Exit::Code(137),
        Exit::Signal(9),
        Exit::Signal(11),
        Exit::Unknown,
    ]);
    let kind = dice.pick(&[
        Mishap::Exits(exit),
        Mishap::Exits(exit),
        Mishap::Exits(exit),
        Mishap::ClosesOutput,
        Mishap::BreaksInput,
        Mishap::StopsReading,
    ]);
    Some((dice.time(Duration::from_secs(120)), kind))
}
