//! What a client has done for one call, and what it has heard.

use serde_json::Value;

use super::asks;
use super::world::{Request, World};

/// What the schedules have met.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) asked: usize,
    pub(super) answered: usize,
    pub(super) failed: usize,
    pub(super) spent: usize,
    pub(super) limited: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.failed += other.failed;
        self.spent += other.spent;
        self.limited += other.limited;
    }

    pub(super) fn has_met_everything(&self) -> bool {
        let met = [self.asked, self.answered, self.failed, self.spent, self.limited];
        met.iter().all(|count| *count > 0)
    }
}

/// A state that the client got.
pub(super) struct State {
    /// The answer that it came with.
    pub(super) answer: Value,
    /// How many requests have gone on with it.
    used: usize,
}

/// A request of the tale.
struct Way {
    request: Request,
    /// Which state it goes on with.
    state: Option<usize>,
    is_told: bool,
    is_gone: bool,
}

pub(super) struct Tale {
    pub(super) name: String,
    pub(super) owner: &'static str,
    pub(super) states: Vec<State>,
    ways: Vec<Way>,
    ends: usize,
}

impl Tale {
    pub(super) fn new(name: String, owner: &'static str) -> Self {
        Self {
            name,
            owner,
            states: Vec::new(),
            ways: Vec::new(),
            ends: 0,
        }
    }

    /// Makes a request; one that is held waits for [`release`](Self::release).
    pub(super) fn send(&mut self, world: &World, more: Value, state: Option<usize>, is_held: bool) {
        let request = match is_held {
            true => world.hold(self.owner, &self.name, more),
            false => world.send(self.owner, &self.name, more),
        };
        self.ways.push(Way {
            request,
            state,
            is_told: false,
            is_gone: false,
        });
    }

    pub(super) fn has_open(&self) -> bool {
        self.ways.iter().any(|way| !way.request.is_over())
    }

    /// Has the client of one of its requests go away.
    pub(super) async fn abort(&mut self, chance: u64) {
        let open: Vec<&mut Way> = self
            .ways
            .iter_mut()
            .filter(|way| !way.request.is_over())
            .collect();
        let index = usize::try_from(chance % open.len() as u64).expect("an index");
        if let Some(way) = open.into_iter().nth(index) {
            way.request.abort().await;
            way.is_gone = true;
        }
    }

    /// Lets all that is held go on, and leave.
    pub(super) fn release(&mut self) {
        for way in &self.ways {
            way.request.go();
            way.request.leave();
        }
    }

    /// Takes what was heard, and notes what should not have been.
    pub(super) fn judge(&mut self, tally: &mut Tally, broken: &mut Vec<String>) {
        let name = &self.name;
        for way in &mut self.ways {
            let answers = way.request.answers();
            if answers.len() > 1 {
                broken.push(format!("{name}: answered more than once: {answers:?}"));
            }
            for event in way.request.events() {
                let params = &event["params"];
                let of_whom = params["message"].as_str().or(params["data"].as_str());
                if of_whom != Some(name) {
                    broken.push(format!("{name} heard {event}"));
                }
            }
            let Some(answer) = answers.first().filter(|_| !way.is_told) else {
                continue;
            };
            way.is_told = true;
            let why = answer["error"]["message"].as_str().unwrap_or_default();
            let is_refused = ["requestState", "there is no server"]
                .iter()
                .any(|word| why.contains(word));
            if let Some(state) = way.state.filter(|_| !is_refused) {
                self.states[state].used += 1;
            }
            match &answer["result"]["resultType"] {
                Value::String(kind) if kind == "input_required" => {
                    tally.asked += 1;
                    let asked = asks(answer);
                    if asked.is_empty() || !asked.iter().all(|text| text.starts_with(&format!("{name}:"))) {
                        broken.push(format!("{name} was asked {answer}"));
                    }
                    self.states.push(State {
                        answer: answer.clone(),
                        used: 0,
                    });
                }
                Value::String(_) => {
                    tally.answered += 1;
                    self.ends += 1;
                    if answer["result"]["content"][0]["text"] != **name {
                        broken.push(format!("{name} was answered {answer}"));
                    }
                }
                _ if is_refused => tally.spent += 1,
                _ => tally.failed += 1,
            }
        }
        if self.ends > 1 || self.states.iter().any(|state| state.used > 1) {
            broken.push(format!("{name} went on more than once"));
        }
    }

    /// Returns whether nobody of it has anything to say any more.
    pub(super) fn is_told(&self) -> bool {
        let is_told = |way: &Way| way.is_told && !way.is_gone && way.request.is_over();
        self.ways.iter().all(is_told) && self.states.iter().all(|state| state.used > 0)
    }

    /// Returns what is left at the end, when nothing may be.
    pub(super) fn left(&self) -> Option<String> {
        let is_left = |way: &&Way| !way.request.is_over() || !way.is_gone && way.request.answers().is_empty();
        let left = self.ways.iter().filter(is_left).count();
        (left > 0).then(|| format!("{}: {left} requests were never answered", self.name))
    }
}
