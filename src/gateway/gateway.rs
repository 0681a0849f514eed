//! The gateway itself: what it holds, and the one way of a message through it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::cache::ResponseCache;
use super::context::{Answer, Delivery, RequestContext};
use super::conversation::{Conversation, Session};
use super::error::GatewayError;
use super::exchange::{End, Exchange, First};
use super::listeners::Listeners;
use super::policy::{Judge, Judging, Lane, Pinned, Policy, Standing};
use super::shared_hub::SharedHub;
use super::standby::Standby;
use super::suspension::Suspended;
use crate::config::Config;
use crate::plugin::Plugins;
use crate::protocol::names::method;
use crate::protocol::reply::{write_error, write_result};
use crate::protocol::scan::{ScanOptions, UniqueKeys};
use crate::protocol::{Era, Kind, Message};
use crate::registry::{Registry, Server};
use crate::schema::SchemaCache;
use crate::session::outbox::OutboxLimits;
use crate::session::{Caller, SessionOptions, SessionStore, StoreLimits, Transport};
use crate::upstream::PoolContext;

/// What a gateway is made of.
#[derive(Debug)]
pub struct GatewayOptions {
    /// The limits, and the servers to begin with.
    pub config: Arc<Config>,
    /// What is registered.
    pub registry: Arc<Registry>,
    /// Who reaps the gateway's tasks.
    pub tasks: TaskTracker,
    /// The policies.
    pub plugins: Arc<Plugins>,
}

/// The gateway.
pub struct Gateway {
    pub(super) config: Arc<Config>,
    pub(super) registry: Arc<Registry>,
    pub(super) sessions: SessionStore<Conversation>,
    pub(super) pools: Arc<PoolContext>,
    /// The receivers of shared instances, by instance. A std mutex: held for look-ups.
    pub(super) hubs: Mutex<HashMap<u64, Arc<SharedHub>>>,
    /// What servers have said and may be said again.
    pub(super) cache: Arc<ResponseCache>,
    /// The calls that wait for what their clients say.
    pub(super) suspended: Suspended,
    /// Sessions of modern clients, kept for their next calls.
    pub(super) standby: Standby,
    pub(super) schemas: Arc<SchemaCache>,
    pub(super) tasks: TaskTracker,
    policy: Arc<Policy>,
    /// Every exchange there is, also those of sessions that are not in the store.
    pub(super) exchanges: TaskTracker,
    /// Who listens.
    pub(super) listeners: Arc<Listeners>,
    draining: AtomicBool,
    started: Instant,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// Returns a gateway without servers. `pools` gets it to make what its pools need of it.
    pub fn new(
        options: GatewayOptions,
        pools: impl FnOnce(std::sync::Weak<Self>) -> PoolContext,
    ) -> Arc<Self> {
        let GatewayOptions {
            config,
            registry,
            tasks,
            plugins,
        } = options;
        let client_scan = ScanOptions {
            depth_max: config.requests.depth_max,
            unique_keys: UniqueKeys::Everywhere,
        };
        let limits = StoreLimits {
            max: config.sessions.max,
            idle_timeout: config.sessions.idle_timeout,
            stream_retention: config.sessions.stream_retention,
        };
        let suspended = Suspended::new(&config.requests);
        Arc::new_cyclic(|gateway| Self {
            listeners: Listeners::new(config.sessions.listens_max),
            cache: ResponseCache::new(&config.cache),
            suspended,
            standby: Standby::default(),
            config,
            registry,
            sessions: SessionStore::new(limits),
            pools: Arc::new(pools(gateway.clone())),
            hubs: Mutex::default(),
            schemas: Arc::default(),
            tasks,
            policy: Policy::new(plugins, client_scan),
            exchanges: TaskTracker::new(),
            draining: AtomicBool::new(false),
            started: Instant::now(),
        })
    }

    /// Refuses new requests from now on; those in flight, and what they need of their clients, go on, but for the calls
    /// that wait for their clients to come again.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.exchanges.close();
        // Nobody could go on with them.
        for session in self.suspended.close() {
            self.end_session(&session, "the gateway is stopping");
        }
    }

    /// Waits, after [`begin_drain`](Self::begin_drain), until every request has been answered.
    pub async fn drained(&self) {
        self.exchanges.wait().await;
    }

    /// Returns whether new requests are refused.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Returns how long it has been there.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the policies that judge the messages of one HTTP request, to be kept with it; `None` without any. `header`
    /// reads one of its headers as text.
    pub fn pin(&self, header: impl Fn(&str) -> Option<String>) -> Option<Pinned> {
        self.policy.pin(header)
    }

    /// Returns what is registered.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Returns the sessions.
    pub fn sessions(&self) -> &SessionStore<Conversation> {
        &self.sessions
    }

    /// Returns the configuration it started with.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Returns a session that is not in the store yet.
    pub fn new_session(&self, server: Arc<Server>, caller: Caller, transport: Transport) -> Arc<Session> {
        let limits = &self.config.sessions;
        let outbox = OutboxLimits {
            events_max: limits.outbox_events_max,
            bytes_max: limits.outbox_bytes_max,
        };
        let options = SessionOptions {
            caller,
            transport,
            outbox,
            streams_max: limits.streams_max,
        };
        let counted = self.exchanges.clone();
        let judging = Judging {
            policy: self.policy.clone(),
            lane: Lane::new(self.tasks.clone(), outbox),
            standing: Standing::default(),
        };
        Arc::new(Session::new(options, Conversation::new(server, counted, judging)))
    }

    /// Puts a session into the store, ending the least recently used one where there are too many.
    pub fn keep_session(&self, session: &Arc<Session>) {
        for evicted in self.sessions.insert(session.clone()) {
            self.end_session(&evicted, "too many sessions: the least recently used one ends");
        }
        // Whoever disables or removes a server ends the sessions in the store: one that comes late ends here.
        let server = session.attachment().server();
        let is_served = self.registry.server(server.name().as_str());
        if !is_served.is_ok_and(|current| Arc::ptr_eq(&current, server) && server.is_enabled()) {
            self.end_session(session, "its server was disabled or unregistered");
        }
    }

    /// Takes one message of a client to its end.
    pub async fn handle(self: &Arc<Self>, ctx: &RequestContext, message: Message) -> Answer {
        ctx.session.touch();
        match message.kind() {
            Kind::Request => self.handle_request(ctx, message).await,
            Kind::Notification => {
                match self.judge(ctx, &message) {
                    None => self.handle_notification(&ctx.session, &message),
                    Some(judge) => self.handle_judged_notification(judge, &ctx.session, message),
                }
                Answer::Accepted
            }
            Kind::Response => {
                match ctx.session.attachment().take_server_request(&message) {
                    Some(request) => self.handle_answer(&ctx.session, request, message),
                    None => {
                        debug!(session = ?ctx.session.id(), "answer to a request that nobody made, or no longer waits for");
                    }
                }
                Answer::Accepted
            }
        }
    }

    /// Takes the messages of one body (2025-03-26, "Batching") to their end.
    pub async fn handle_batch(self: &Arc<Self>, ctx: &RequestContext, messages: Vec<Message>) -> Answer {
        let (requests, others): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| message.kind() == Kind::Request);
        // In the log each message has a name of its own.
        let mut parts = (1..).map(|number| ctx.of_part(number));
        let mut part = || parts.next().expect("numbers do not end");
        for message in others {
            self.handle(&part(), message).await;
        }
        if requests.is_empty() {
            return Answer::Accepted;
        }
        if ctx.delivery != Delivery::JsonOrStream {
            let answers = requests.into_iter().map(|request| {
                let ctx = part();
                async move { self.handle(&ctx, request).await }
            });
            return collect_batch(futures_util::future::join_all(answers).await);
        }
        ctx.session.touch();
        let Some(outbox) = ctx.session.open_stream(requests.len()) else {
            return too_many_streams(requests.iter());
        };
        let reader = outbox.read_after(0);
        for request in requests {
            let exchange = Exchange::streaming(&request, ctx.session.clone(), outbox.clone());
            self.start(&part(), &exchange, request);
        }
        Answer::Stream(reader)
    }

    /// Each request is moved as it is being built, with the room for all that it may come to wait for: what few wait for
    /// is boxed.
    async fn handle_request(self: &Arc<Self>, ctx: &RequestContext, message: Message) -> Answer {
        if ctx.session.era() == Era::Modern && message.method() == method::LISTEN {
            return Box::pin(self.listen(ctx, message)).await;
        }
        if ctx.delivery == Delivery::SessionStream {
            return self.handle_for_stream(ctx, message).await;
        }
        if message.method() == method::PING && !self.is_draining() {
            return ping(&message);
        }
        let opens = opens(&ctx.session, &message);
        let takes_events = ctx.delivery == Delivery::JsonOrStream && !opens;
        // Proxies and clients give up on a connection without a sign of life: after a while it becomes a stream.
        let stream_after = takes_events.then_some(self.config.http.sse_after);
        let exchange = Exchange::waiting(&message, ctx.session.clone(), stream_after);
        let _attendance = exchange.attend();
        if opens {
            // Not on its own: nobody learns of the session if its client goes away now.
            Box::pin(self.open(ctx, &exchange, &message)).await;
        } else {
            self.start(ctx, &exchange, message);
        }
        answer_of(exchange.first().await)
    }

    /// Handles a request whose answer goes to the session's own stream.
    async fn handle_for_stream(self: &Arc<Self>, ctx: &RequestContext, message: Message) -> Answer {
        let session = &ctx.session;
        let outbox = session.standalone().clone();
        if outbox.is_full() {
            return refused(&message, &GatewayError::NotReading);
        }
        let exchange = Exchange::streaming(&message, session.clone(), outbox);
        if opens(session, &message) {
            let (gateway, its_ctx) = (self.clone(), ctx.clone());
            let opening = Box::pin(async move {
                gateway.open(&its_ctx, &exchange, &message).await;
            });
            // On a channel the next message comes after it; a POST has been answered already.
            match session.transport().is_channel() {
                true => opening.await,
                false => drop(self.tasks.spawn(opening)),
            }
        } else {
            self.start(ctx, &exchange, message);
        }
        Answer::Accepted
    }

    /// Answers the request by which a client learns what its server can do.
    async fn open(self: &Arc<Self>, ctx: &RequestContext, exchange: &Arc<Exchange>, message: &Message) {
        let session = &ctx.session;
        let judge = self.judge(ctx, message);
        let started = match (self.admit(session, exchange), session.era()) {
            (Ok(()), Era::Handshake) => self.initialize(session, exchange, message, judge).await,
            (Ok(()), Era::Modern) => self.discover(session, exchange, message, judge).await,
            (Err(error), _) => Err(error),
        };
        end_refused(started, exchange, session);
    }

    /// Brings a request to its server, or answers it; errors end the exchange.
    fn start(self: &Arc<Self>, ctx: &RequestContext, exchange: &Arc<Exchange>, message: Message) {
        let session = &ctx.session;
        let started = self.admit(session, exchange).and_then(|()| {
            if message.method() == method::PING {
                exchange.answer(b"{}");
                return Ok(());
            }
            match self.judge(ctx, &message) {
                None => self.dispatch(session, exchange, message),
                Some(judge) => self.start_judged(judge, session, exchange, message),
            }
        });
        end_refused(started, exchange, session);
    }

    /// Returns who judges a message of a client, and its answer.
    pub(super) fn judge(&self, ctx: &RequestContext, message: &Message) -> Option<Judge> {
        ctx.pinned
            .as_ref()
            .map(|pinned| self.policy.judge(pinned, message))
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Makes an exchange one of its session's, or refuses it.
    fn admit(&self, session: &Session, exchange: &Arc<Exchange>) -> Result<(), GatewayError> {
        if self.is_draining() {
            return Err(GatewayError::Stopping);
        }
        let in_flight_max = self.config.requests.in_flight_max;
        if !session.attachment().add_exchange(exchange, in_flight_max) {
            return Err(GatewayError::TooManyInFlight(in_flight_max));
        }
        // Whoever ends a session ends the exchanges that it has: one that comes later sees that it has ended.
        match session.has_ended() {
            true => Err(GatewayError::SessionEnded),
            false => Ok(()),
        }
    }
}

/// Returns whether a request is the one by which the client of a session learns what its server can do.
fn opens(session: &Session, message: &Message) -> bool {
    match session.era() {
        Era::Handshake => message.method() == method::INITIALIZE,
        Era::Modern => message.method() == method::DISCOVER,
    }
}

/// Ends an exchange whose request did not get to its server.
pub(super) fn end_refused(started: Result<(), GatewayError>, exchange: &Exchange, session: &Session) {
    if let Err(error) = started {
        debug!(session = ?session.id(), id = %exchange.client_id(), %error, "request refused");
        exchange.fail(&error);
    }
}

fn answer_of(first: First) -> Answer {
    match first {
        First::End(End::Answer(answer, code)) => Answer::Json(answer, code),
        First::End(End::Withdrawn) => Answer::Withdrawn,
        First::Stream(reader) => Answer::Stream(reader),
    }
}

fn refused(request: &Message, error: &GatewayError) -> Answer {
    let mut out = Vec::new();
    write_error(request.id(), &error.to_error_object(), &mut out);
    Answer::Refused(out.into())
}

fn too_many_streams<'a>(requests: impl Iterator<Item = &'a Message>) -> Answer {
    let error = GatewayError::TooManyStreams.to_error_object();
    let answers = requests.map(|request| {
        let mut out = Vec::new();
        write_error(request.id(), &error, &mut out);
        Answer::Json(out.into(), Some(error.code))
    });
    collect_batch(answers.collect())
}

/// A ping asks whether the other end is there, and the other end is the gateway: it wakes no process.
fn ping(message: &Message) -> Answer {
    let mut out = Vec::new();
    write_result(message.id().expect("a request has an id"), b"{}", &mut out);
    Answer::Json(out.into(), None)
}

fn collect_batch(answers: Vec<Answer>) -> Answer {
    let mut out = vec![b'['];
    let mut is_refused = false;
    for answer in answers {
        is_refused |= matches!(answer, Answer::Refused(_));
        if let Answer::Json(json, _) | Answer::Refused(json) = answer {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(&json);
        }
    }
    out.push(b']');
    match (out.len(), is_refused) {
        (2, _) => Answer::Accepted,
        (_, true) => Answer::Refused(out.into()),
        (_, false) => Answer::Json(out.into(), None),
    }
}
