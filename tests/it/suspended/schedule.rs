//! Crossings that chance makes: clients, their server and an operator take steps in any order, at any time.

use std::sync::Arc;
use std::time::Duration;

use portcullis::config::ServerSpec;
use portcullis::gateway::Gateway;
use portcullis::registry::{Actor, RegistryError, Server, Source};
use serde_json::{Value, json};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use super::tale::{Tale, Tally};
use super::world::{NAME, World};
use super::{again, word};
use crate::simulation::dice::Dice;

const OWNERS: [&str; 3] = ["alice", "bob", "carol"];
/// Calls that may wait, in all.
const SUSPENDED_MAX: usize = 4;
/// Longer than anything waits, each after the other.
const LONG: Duration = Duration::from_secs(1800);

/// What came of one schedule.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) broken: Vec<String>,
    pub(super) history: Vec<String>,
    pub(super) tally: Tally,
}

pub(super) fn run(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(async {
        let mut dice = Dice::new(seed);
        // With few, sessions give way to each other, and some share.
        let instances = dice.pick(&["2", "3", "8"]);
        let limits = [
            ("requests.suspended-max", SUSPENDED_MAX.to_string()),
            ("requests.suspended-per-principal-max", "2".to_owned()),
            ("servers.s.instances-max", instances.to_owned()),
        ];
        let limits: Vec<(&str, &str)> = limits.iter().map(|(key, text)| (*key, text.as_str())).collect();
        let world = World::new(&limits).await;
        let servers = world.gateway.registry().servers();
        let play = Play {
            world,
            dice,
            tales: Vec::new(),
            servers,
            orders: JoinSet::new(),
            is_draining: false,
            outcome: Outcome::default(),
        };
        play.run().await
    })
}

struct Play {
    world: World,
    dice: Dice,
    tales: Vec<Tale>,
    /// Every server of the name that there ever was.
    servers: Vec<Arc<Server>>,
    orders: JoinSet<()>,
    is_draining: bool,
    outcome: Outcome,
}

impl Play {
    async fn run(mut self) -> Outcome {
        let steps = 10 + self.dice.below(60);
        let drains_at = self
            .dice
            .percent(25)
            .then(|| steps / 2 + self.dice.below(steps / 2));
        for step in 0..steps {
            if drains_at == Some(step) {
                self.note("the gateway begins to stop");
                self.is_draining = true;
                self.world.gateway.begin_drain();
            }
            self.step().await;
            match self.dice.percent(60) {
                true => {
                    self.world.settled().await;
                    self.judge();
                }
                false => {
                    for _ in 0..self.dice.below(6) {
                        yield_now().await;
                    }
                }
            }
        }
        self.end().await
    }

    fn note(&mut self, what: impl Into<String>) {
        self.outcome.history.push(what.into());
    }

    fn broken(&mut self, law: impl Into<String>) {
        let law = law.into();
        self.note(format!("BROKEN: {law}"));
        self.outcome.broken.push(law);
    }

    /// Checks all that has to hold when nothing is on its way.
    fn judge(&mut self) {
        let mut broken = Vec::new();
        for tale in &mut self.tales {
            tale.judge(&mut self.outcome.tally, &mut broken);
        }
        for question in self.world.server.all_questions() {
            if question.answers.len() > 1 {
                broken.push(format!("answered more than once: {question:?}"));
            }
            for answer in &question.answers {
                let said = &answer["result"]["content"]["said"];
                if answer.get("error").is_none() && *said != question.text {
                    broken.push(format!("the answer to something else: {question:?}"));
                }
                let why = answer["error"]["message"].as_str().unwrap_or_default();
                self.outcome.tally.limited += usize::from(why.contains("requests.suspended-"));
            }
        }
        for question in self.world.server.stale_questions() {
            let is_its = |tale: &&Tale| question.text.split(':').next() == Some(&*tale.name);
            if self.tales.iter().find(is_its).is_some_and(Tale::is_told) {
                broken.push(format!(
                    "a process without a call waits for an answer: {question:?}"
                ));
            }
        }
        let (suspended, max) = (self.world.gateway.suspended(), SUSPENDED_MAX);
        if suspended > max || self.is_draining && suspended > 0 {
            broken.push(format!("{suspended} calls wait"));
        }
        broken.into_iter().for_each(|law| self.broken(law));
    }

    async fn step(&mut self) {
        match self.dice.below(100) {
            0..16 => self.begin(),
            16..60 => self.client_acts().await,
            60..90 => self.server_acts(),
            90..96 => {
                let time = self.dice.time(Duration::from_secs(70));
                self.note(format!("{time:?} pass"));
                sleep(time).await;
            }
            _ => self.operator_acts(),
        }
    }

    fn begin(&mut self) {
        let owner = self.dice.pick(&OWNERS);
        let name = format!("{owner}-{}", self.tales.len());
        self.note(format!("{name} begins"));
        let mut tale = Tale::new(name, owner);
        let is_held = self.dice.percent(20);
        tale.send(&self.world, json!({}), None, is_held);
        self.tales.push(tale);
    }

    /// Returns one of the tales of which something can be told.
    fn tale(&mut self, wanted: impl Fn(&Tale) -> bool) -> Option<usize> {
        let fit: Vec<usize> = (0..self.tales.len())
            .filter(|index| wanted(&self.tales[*index]))
            .collect();
        (!fit.is_empty()).then(|| self.dice.pick(&fit))
    }

    async fn client_acts(&mut self) {
        let action = self.dice.below(20);
        let is_asked = |tale: &Tale| !tale.states.is_empty();
        let wanted = match action {
            0..12 => self.tale(is_asked),
            _ => self.tale(|tale| tale.has_open()),
        };
        let Some(index) = wanted else { return };
        let name = self.tales[index].name.clone();
        match action {
            0..8 => self.go_on(index, 1),
            8..10 => self.go_on(index, 2),
            10 => self.steal(index).await,
            11 => self.go_on_otherwise(index).await,
            12..15 => {
                self.note(format!("{name}: a client goes away"));
                let chance = self.dice.next();
                self.tales[index].abort(chance).await;
            }
            _ => {
                self.note(format!("{name}: whoever is held goes on"));
                self.tales[index].release();
            }
        }
    }

    /// Goes on with a call, so many times at once.
    fn go_on(&mut self, index: usize, times: usize) {
        let tale = &self.tales[index];
        // Nearly always with the latest of its states.
        let state = match self.dice.percent(85) {
            true => tale.states.len() - 1,
            false => usize::try_from(self.dice.below(tale.states.len() as u64)).expect("an index"),
        };
        let chances: Vec<bool> = (0..8).map(|_| self.dice.percent(75)).collect();
        let said = |text: &str| {
            let number = text
                .rsplit(':')
                .next()
                .and_then(|number| number.parse::<usize>().ok());
            word(text).filter(|_| chances[number.unwrap_or(0) % chances.len()])
        };
        let more = again(&tale.states[state].answer, said);
        let name = tale.name.clone();
        self.note(format!(
            "{name}: goes on with state {state}, {times} times, saying {}",
            more["inputResponses"]
        ));
        for _ in 0..times {
            let is_held = self.dice.percent(40);
            self.tales[index].send(&self.world, more.clone(), Some(state), is_held);
        }
    }

    /// Somebody else goes on with a call.
    async fn steal(&mut self, index: usize) {
        let tale = &self.tales[index];
        let state = tale.states.last().expect("it was asked");
        let (name, more) = (tale.name.clone(), again(&state.answer, word));
        let thief = if tale.owner == "alice" { "bob" } else { "alice" };
        self.expect_refused(thief, &name, more).await;
    }

    /// Its own client goes on with a call as with another one.
    async fn go_on_otherwise(&mut self, index: usize) {
        let tale = &self.tales[index];
        let state = tale.states.last().expect("it was asked");
        let (owner, more) = (tale.owner, again(&state.answer, word));
        self.expect_refused(owner, "nothing", more).await;
    }

    async fn expect_refused(&mut self, owner: &'static str, call: &str, more: Value) {
        self.note(format!("{owner} tries to go on with {call}"));
        let request = self.world.send(owner, call, more);
        self.world.settled().await;
        let answers = request.answers();
        let is_refused = |answer: &Value| answer.get("error").is_some();
        if answers.len() != 1 || !answers.iter().all(is_refused) {
            self.broken(format!("{owner} went on with {call}: {answers:?}"));
        }
    }

    fn server_acts(&mut self) {
        let calls = self.world.server.calls();
        if calls.is_empty() {
            return;
        }
        let index = self.dice.below(calls.len() as u64);
        let call = &calls[usize::try_from(index).expect("an index")];
        let (action, server) = (self.dice.below(30), self.world.server.clone());
        self.note(format!("{call}: its server takes step {action}"));
        match action {
            0..11 => drop(server.ask(call)),
            11..14 => {
                server.ask(call);
                server.ask(call);
            }
            14..22 => server.answer(call),
            22..24 => server.withdraw(call),
            24..26 => server.progress(call, 1),
            26 => server.log(call),
            27 => server.want_visit(call),
            28 => {
                // In one breath.
                server.ask(call);
                server.answer(call);
            }
            _ => server.die(call),
        }
    }

    fn operator_acts(&mut self) {
        let order = self.dice.below(6);
        self.note(format!("order {order}"));
        if order == 0 {
            let gateway = &self.world.gateway;
            return gateway.end_sessions_unless(|caller| caller.subject() != Some("bob"));
        }
        if order == 1 {
            let servers = self.world.gateway.registry().servers();
            self.servers.extend(servers);
        }
        let gateway = self.world.gateway.clone();
        self.orders.spawn(async move { carry_out(&gateway, order).await });
    }

    async fn end(mut self) -> Outcome {
        self.note("the end");
        self.tales.iter_mut().for_each(Tale::release);
        sleep(LONG).await;
        self.judge();
        while let Some(carried_out) = self.orders.join_next().await {
            if let Err(error) = carried_out {
                self.broken(format!("an order: {error}"));
            }
        }
        for index in 0..self.tales.len() {
            if let Some(law) = self.tales[index].left() {
                self.broken(law);
            }
        }
        self.tales.clear();
        let left: usize = self.servers.iter().map(|server| server.sessions()).sum();
        if left > 0 {
            self.broken(format!("{left} sessions are left of servers that are gone"));
        }
        self.world.gateway.begin_drain();
        if timeout(LONG, self.world.gateway.drained()).await.is_err() {
            self.broken("it drains for ever");
        }
        let mut outcome = self.outcome;
        outcome.broken.extend(
            self.world
                .end()
                .await
                .into_iter()
                .map(|what| format!("left: {what}")),
        );
        outcome
    }
}

async fn carry_out(gateway: &Arc<Gateway>, order: u64) {
    // Another one may have been there before.
    match order {
        1 => {
            let Ok(server) = gateway.registry().server(NAME) else {
                return;
            };
            let _ = gateway.unregister(NAME, Actor::Admin).await;
            let _ = gateway
                .register(server.spec(), Source::Config, Actor::Config)
                .await;
        }
        2 => drop(gateway.restart_server(NAME, Actor::Admin).await),
        3 => drop(gateway.stop_server(NAME, Actor::Admin).await),
        4 => {
            let _ = gateway.disable(NAME, Actor::Admin).await;
            let _ = gateway.enable(NAME, Actor::Admin).await;
        }
        _ => {
            let change = |spec: &ServerSpec| {
                let mut spec = spec.clone();
                spec.stop_grace += Duration::from_secs(1);
                Ok::<_, RegistryError>(spec)
            };
            let _ = gateway.patch(NAME, Actor::Admin, change).await;
        }
    }
}
