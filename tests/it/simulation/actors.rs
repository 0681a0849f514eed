//! Who uses the pool: clients with requests, and an operator.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use portcullis::config::Sharing;
use portcullis::protocol::reply::ErrorObject;
use portcullis::protocol::scan::{ScanOptions, UniqueKeys};
use portcullis::protocol::{Message, reply};
use portcullis::upstream::lease::Applicant;
use portcullis::upstream::pending::Patience;
use portcullis::upstream::{
    Connection, Lease, LeaseKind, Outcome, RequestRefused, ServerMessages, ServerPool, Upstream,
    UpstreamError, Waiter,
};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::dice::Dice;
use super::world::World;

/// How late a waiter may be told of its deadline: the supervisor's longest pause between two rounds, and the clock's
/// granularity.
const SWEEP: Duration = Duration::from_millis(1005);
/// Longer than any order may take: a launch, every step of a stop, and all restarts of a budget.
const ORDER_MAX: Duration = Duration::from_secs(1800);

/// A request that was made, and what it is owed.
struct Ticket {
    number: u64,
    due: Instant,
    world: Arc<World>,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Waiter for Ticket {
    fn complete(&self, outcome: Outcome) {
        let Some(done) = self.done.lock().expect("no holder panics").take() else {
            return self
                .world
                .broken(format!("request {} was answered twice", self.number));
        };
        self.world.ticket_closed(matches!(outcome, Outcome::Response(_)));
        let late = Instant::now().saturating_duration_since(self.due);
        if late > SWEEP {
            self.world
                .broken(format!("request {} was answered {late:?} late", self.number));
        }
        if let Outcome::Response(message) = &outcome
            && number_in(message) != Some(self.number)
        {
            self.world
                .broken(format!("request {} got {message:?}", self.number));
        }
        // Whoever asked may have gone on.
        let _ = done.send(());
    }

    fn waits(&self, since: Duration) {
        if self.done.lock().expect("no holder panics").is_none() {
            self.world.broken(format!(
                "request {} waits after {since:?} although it is over",
                self.number
            ));
        }
    }

    fn progress(&self, _: Message) {
        if self.done.lock().expect("no holder panics").is_none() {
            self.world
                .broken(format!("progress of request {}, which is over", self.number));
        }
    }
}

fn number_in(message: &Message) -> Option<u64> {
    let value: Value = serde_json::from_slice(message.bytes()).ok()?;
    let number = value
        .pointer("/result/n")
        .or_else(|| value.pointer("/error/data"));
    number?.as_u64()
}

/// Takes what servers say on their own.
pub(super) struct Ear {
    pub(super) dice: Mutex<Dice>,
    pub(super) keeps_process: bool,
    pub(super) congests: bool,
}

impl ServerMessages for Ear {
    fn request(&self, connection: &Arc<Connection>, message: Message) {
        let id = message.id().expect("a request has an id");
        connection.refuse(id, &ErrorObject::new(-32601, "nobody to ask"));
    }

    fn notification(&self, connection: &Arc<Connection>, _: Message) {
        connection.count_stray();
    }

    fn ready(&self, _: &Arc<Connection>) {}

    fn keeps_process(&self) -> bool {
        self.keeps_process
    }

    fn congestion(&self) -> Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> {
        let mut dice = self.dice.lock().expect("no holder panics");
        let pause = dice.time(Duration::from_secs(2));
        (self.congests && dice.percent(10)).then(|| Box::pin(sleep(pause)) as _)
    }
}

/// A client that opens sessions one after the other.
pub(super) struct Client {
    pub(super) world: Arc<World>,
    pub(super) pool: Arc<ServerPool>,
    pub(super) dice: Dice,
    /// Tells its requests from those of others.
    pub(super) first_number: u64,
    /// What nobody uses any more and is kept, by all clients, as long as nobody needs its place.
    pub(super) kept: Arc<Mutex<VecDeque<Lease>>>,
}

impl Client {
    pub(super) async fn run(mut self) {
        for _ in 0..=self.dice.below(4) {
            let ear = Ear {
                dice: Mutex::new(self.dice.fork()),
                keeps_process: false,
                congests: self.dice.percent(30),
            };
            let applicant = Applicant {
                principal: self.dice.pick(&["alice", "bob", "carol"]),
                era: portcullis::protocol::Era::Handshake,
                facts: None,
                preferred: None,
            };
            let kept = Arc::clone(&self.kept);
            let give_way = || {
                let idlest = kept.lock().expect("no holder panics").pop_front();
                idlest.map(|lease| Arc::clone(lease.upstream()))
            };
            let lease = self.pool.lease(&applicant, || Arc::new(ear), give_way);
            let upstream = Arc::clone(lease.upstream());
            for _ in 0..=self.dice.below(8) {
                self.act(&upstream).await;
            }
            drop(upstream);
            if lease.kind() == LeaseKind::Own && self.dice.percent(50) {
                kept.lock().expect("no holder panics").push_back(lease);
            }
            sleep(self.dice.time(Duration::from_secs(60))).await;
        }
    }

    async fn act(&mut self, upstream: &Arc<Upstream>) {
        match self.dice.below(10) {
            0 => sleep(self.dice.time(Duration::from_secs(90))).await,
            1 => sleep(self.dice.time(Duration::from_secs(2))).await,
            2 => {
                let deadline = Instant::now() + self.dice.time(Duration::from_secs(40));
                let _ = self.connection(upstream, deadline).await;
            }
            3 => {
                if let Some(connection) = upstream.current() {
                    connection.send(|out| reply::write_notification("notifications/x", None, out));
                }
            }
            _ => self.request(upstream).await,
        }
    }

    async fn connection(
        &self,
        upstream: &Upstream,
        deadline: Instant,
    ) -> Result<Arc<Connection>, UpstreamError> {
        let result = upstream.connection(deadline).await;
        let late = Instant::now().saturating_duration_since(deadline);
        if late > Duration::from_millis(2) {
            self.world.broken(format!(
                "a connection was waited for {late:?} beyond the deadline"
            ));
        }
        result
    }

    async fn request(&mut self, upstream: &Upstream) {
        let timeout = self.dice.time(Duration::from_secs(40)) + Duration::from_millis(1);
        let patience = Patience {
            since: Instant::now(),
            timeout,
            timeout_max: timeout + self.dice.time(Duration::from_secs(20)),
        };
        for _ in 0..3 {
            let Ok(connection) = self.connection(upstream, patience.deadline()).await else {
                return;
            };
            match self.send(&connection, patience) {
                Ok((id, done, due)) => return self.await_answer(&connection, id, done, due).await,
                Err(RequestRefused::Overloaded(_)) => return,
                Err(RequestRefused::Closed(_)) => {}
            }
        }
    }

    fn send(
        &mut self,
        connection: &Connection,
        patience: Patience,
    ) -> Result<(i64, oneshot::Receiver<()>, Instant), RequestRefused> {
        self.first_number += 1;
        let number = self.first_number;
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"n":{number},"_meta":{{"progressToken":1}}}}}}"#
        );
        let options = ScanOptions {
            depth_max: 16,
            unique_keys: UniqueKeys::Everywhere,
        };
        let message = Message::parse(Bytes::from(text), options).expect("it is a request");
        let (tx, done) = oneshot::channel();
        let due = patience.since + patience.timeout_max;
        let ticket = Ticket {
            number,
            due,
            world: Arc::clone(&self.world),
            done: Mutex::new(Some(tx)),
        };
        self.world.ticket_opened();
        let sent = connection.request(&message, Arc::new(ticket), patience);
        match sent {
            Ok(id) => Ok((id, done, due)),
            Err(refused) => {
                self.world.ticket_closed(false);
                Err(refused)
            }
        }
    }

    async fn await_answer(
        &mut self,
        connection: &Connection,
        id: i64,
        done: oneshot::Receiver<()>,
        due: Instant,
    ) {
        match self.dice.below(10) {
            // Goes on without waiting; what is owed is owed all the same.
            0..=2 => return,
            3 | 4 => {
                sleep(self.dice.time(Duration::from_secs(3))).await;
                connection.cancel(id, |out| {
                    reply::write_notification("notifications/cancelled", None, out)
                });
            }
            _ => {}
        }
        let limit = due.saturating_duration_since(Instant::now()) + SWEEP + Duration::from_millis(10);
        match timeout(limit, done).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.world.broken("a waiter was dropped without an answer"),
            Err(_) => self.world.broken("a request was not answered in time"),
        }
    }
}

/// An operator who gives orders at any time.
pub(super) struct Operator {
    pub(super) world: Arc<World>,
    pub(super) pool: Arc<ServerPool>,
    pub(super) dice: Dice,
}

impl Operator {
    pub(super) async fn run(mut self) {
        for _ in 0..self.dice.below(8) {
            sleep(self.dice.time(Duration::from_secs(120))).await;
            let order = self.dice.below(20);
            self.world.note(format!("operator's order {order}"));
            let carried_out = timeout(ORDER_MAX, self.order(order)).await;
            if carried_out.is_err() {
                self.world
                    .broken(format!("order {order} took longer than {ORDER_MAX:?}"));
            }
            self.world.note(format!("order {order} is carried out"));
        }
    }

    async fn order(&mut self, order: u64) {
        match order {
            0..=4 => {
                self.world.forgive_all();
                self.pool.start_and_settle("operator").await;
            }
            5..=11 => self.stop().await,
            12..=17 => {
                self.world.forgive_all();
                self.pool.restart("operator").await;
            }
            18 => {
                self.world.hurried();
                self.pool.hurry();
            }
            _ => close(&self.world, &self.pool).await,
        }
    }

    /// What ran when the stop was ordered has ended when it is carried out.
    async fn stop(&self) {
        let before = self.world.watched();
        self.pool.stop("operator").await;
        let left: Vec<u32> = self
            .world
            .watched()
            .into_iter()
            .filter(|pid| before.contains(pid))
            .collect();
        // Instances of sessions that ended before are on their way out, which a stop does not wait for.
        if !left.is_empty() && self.pool.spec().sharing == Sharing::Shared {
            self.world.broken(format!("{left:?} live after a stop"));
        }
    }
}

/// Closes the pool, after which nothing of it may live.
pub(super) async fn close(world: &World, pool: &ServerPool) {
    pool.close("closed").await;
    let left = world.watched();
    if !left.is_empty() {
        world.broken(format!("{left:?} live after the pool was closed"));
    }
}
