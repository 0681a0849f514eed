//! Who shares a process with whom.
//!
//! A [`ServerPool`] holds the instances of one server: those that sessions share, for ever; those of one principal, as
//! long as they run or somebody holds them; those of one session, as long as its lease. The decision is made once, when
//! a session opens, and can be read in the lease.
//!
//! There are never more than `instances-max`, those that are being ended included. `instances` of them are kept for the
//! shared pool, so that whoever finds no room for an instance of its own finds a shared one. An instance that nobody uses
//! gives way: its place goes to who needs one, as soon as nothing is left of its process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backoff::{Chance, RestartBudget};
use super::connection::ConnectionCounts;
use super::door::Door;
use super::era::Eras;
use super::handle::{Upstream, UpstreamOptions, Usage};
use super::handshake::Opening;
use super::inbound::ServerMessages;
use super::launch::Launch;
use super::lease::{Applicant, Lease, LeaseKind};
use super::room::{Place, Room};
use super::state::{Observer, Phase};
use super::stderr::StderrTail;
use crate::config::{ClientFeature, PidNamespace, ProtocolEra, ServerSpec, Sharing};
use crate::protocol::Era;
use crate::protocol::mcp::InitializeParams;

/// What all pools of a gateway have in common.
pub struct PoolContext {
    /// How processes are started.
    pub launch: Arc<dyn Launch>,
    /// Who reaps the supervisors.
    pub tasks: TaskTracker,
    /// Bounds how many servers start at once.
    pub starting: Arc<Semaphore>,
    /// Who is told of each change of state.
    pub observer: Observer,
    /// Makes the receiver of a shared instance's messages; gets the number of the instance.
    pub shared_inbound: Box<dyn Fn(u64) -> Arc<dyn ServerMessages> + Send + Sync>,
    /// Whether processes get a PID namespace of their own.
    pub pid_namespace: PidNamespace,
    /// The gateway's own environment, from which `inherit-env` takes.
    pub environment: BTreeMap<String, String>,
    /// Spreads the delays of restarts.
    pub chance: Chance,
    /// Numbers the instances, uniquely over all servers.
    pub next_instance: AtomicU64,
}

impl std::fmt::Debug for PoolContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolContext")
            .field("pid_namespace", &self.pid_namespace)
            .finish_non_exhaustive()
    }
}

/// The instances of one server.
pub struct ServerPool {
    spec: Arc<ServerSpec>,
    context: Arc<PoolContext>,
    budget: Arc<Mutex<RestartBudget>>,
    door: Door,
    /// A std mutex: held for look-ups only.
    instances: Mutex<Instances>,
    /// Every supervisor of this server, also those that end a process whose session is gone.
    supervisors: TaskTracker,
    /// For the instances besides the shared pool.
    room: Arc<Room>,
    hurry: CancellationToken,
    resting: Arc<AtomicBool>,
    eras: Arc<Eras>,
}

#[derive(Default)]
struct Instances {
    /// Those of the shared pool.
    shared: Vec<Arc<Upstream>>,
    /// Those that modern clients share, where the shared pool is not modern.
    modern: Vec<Arc<Upstream>>,
    by_principal: BTreeMap<(String, Era), Arc<Upstream>>,
    own: Vec<Weak<Upstream>>,
    /// Whether what is made from now on is gone at once.
    closed: bool,
}

impl std::fmt::Debug for ServerPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerPool")
            .field("server", &self.spec.name)
            .finish_non_exhaustive()
    }
}

impl ServerPool {
    /// Returns a pool without instances, at rest if its server is disabled.
    pub fn new(spec: Arc<ServerSpec>, context: Arc<PoolContext>) -> Self {
        let budget = Arc::new(Mutex::new(RestartBudget::new(spec.restart.clone())));
        let pinned = match spec.protocol_era {
            ProtocolEra::Auto => None,
            ProtocolEra::Legacy => Some(Era::Handshake),
            ProtocolEra::Modern => Some(Era::Modern),
        };
        Self {
            resting: Arc::new(AtomicBool::new(!spec.enabled)),
            door: Door::new(&spec, &context),
            room: Room::new(besides(&spec)),
            spec,
            context,
            budget,
            instances: Mutex::default(),
            supervisors: TaskTracker::new(),
            hurry: CancellationToken::new(),
            eras: Arc::new(Eras::new(pinned)),
        }
    }

    /// Returns the configuration that its instances run with.
    pub fn spec(&self) -> &Arc<ServerSpec> {
        &self.spec
    }

    /// Returns a lease. `own_inbound` makes the receiver of the messages of an instance that is the applicant's alone. Where
    /// there is no room for that one, `give_way` names an instance that ends instead; it must not use the pool.
    pub fn lease(
        &self,
        applicant: &Applicant<'_>,
        own_inbound: impl FnOnce() -> Arc<dyn ServerMessages>,
        give_way: impl FnOnce() -> Option<Arc<Upstream>>,
    ) -> Lease {
        let era = self.eras.first_for(applicant.era);
        let shared = (era, applicant.preferred);
        match self.spec.sharing {
            Sharing::Shared => self.lease_shared(shared, "sharing = shared"),
            Sharing::Principal => self.lease_of_principal(applicant.principal, era),
            Sharing::Session => self.lease_own(applicant, own_inbound, give_way, "sharing = session"),
            Sharing::Auto if self.may_be_asked_back(applicant) => self.lease_own(
                applicant,
                own_inbound,
                give_way,
                "its client can be asked back (client-features)",
            ),
            Sharing::Auto if era == Era::Modern => {
                self.lease_shared(shared, "the server asks in its answers")
            }
            Sharing::Auto => {
                self.lease_shared(shared, "its client declares nothing that the server may ask for")
            }
        }
    }

    /// Returns whether the client declares something that a server with a handshake may ask it for.
    pub fn wants_own(&self, applicant: &Applicant<'_>) -> bool {
        self.spec.sharing == Sharing::Auto && self.declares_feature(applicant)
    }

    /// Returns a lease by whose handshake it is learned which eras the server speaks.
    pub fn lease_to_learn(&self) -> Lease {
        self.lease_shared((Era::Modern, None), "which era the server speaks is found out")
    }

    /// Returns what is known of the eras that the server speaks.
    pub fn eras(&self) -> &Arc<Eras> {
        &self.eras
    }

    /// Returns the instances of which the applicant would share one; none where it would share none.
    pub fn shared_by(&self, applicant: &Applicant<'_>) -> Vec<Arc<Upstream>> {
        let era = self.eras.first_for(applicant.era);
        match self.spec.sharing {
            Sharing::Shared => self.shared(&mut self.lock(), era).to_vec(),
            Sharing::Auto if !self.may_be_asked_back(applicant) => {
                self.shared(&mut self.lock(), era).to_vec()
            }
            Sharing::Auto | Sharing::Principal | Sharing::Session => Vec::new(),
        }
    }

    /// Returns whether a lease is on an instance that those share who apply like this now.
    pub fn would_lease(&self, applicant: &Applicant<'_>, lease: &Lease) -> bool {
        let era = self.eras.first_for(applicant.era);
        let mut instances = self.lock();
        let is_it = |upstream: &Arc<Upstream>| Arc::ptr_eq(upstream, lease.upstream());
        match lease.kind() {
            LeaseKind::Own => true,
            LeaseKind::Shared => self.shared(&mut instances, era).iter().any(is_it),
            LeaseKind::Principal => {
                let key = (applicant.principal.to_owned(), era);
                instances.by_principal.get(&key).is_none_or(is_it)
            }
        }
    }

    /// Returns whether the client declares something that the server may ask for on its own; a modern server asks in its
    /// answers.
    fn may_be_asked_back(&self, applicant: &Applicant<'_>) -> bool {
        self.eras.first_for(applicant.era) == Era::Handshake && self.declares_feature(applicant)
    }

    fn declares_feature(&self, applicant: &Applicant<'_>) -> bool {
        let Some(facts) = applicant.facts else {
            return false;
        };
        self.spec.client_features.iter().any(|feature| match feature {
            ClientFeature::Sampling => facts.declares("sampling"),
            ClientFeature::Elicitation => facts.declares("elicitation"),
            // Nearly every client declares roots, which is why they are not listed by default.
            ClientFeature::Roots => facts.declares("roots"),
        })
    }

    fn lease_shared(&self, (era, preferred): (Era, Option<u64>), reason: &'static str) -> Lease {
        let mut instances = self.lock();
        let shared = self.shared(&mut instances, era);
        let wanted = shared
            .iter()
            .find(|upstream| Some(upstream.instance()) == preferred);
        let quietest = || {
            let load = |upstream: &&Arc<Upstream>| (upstream.in_flight(), upstream.usage().leases());
            shared.iter().min_by_key(load).expect("there is at least one")
        };
        Lease::new(wanted.unwrap_or_else(quietest).clone(), LeaseKind::Shared, reason)
    }

    /// Returns the shared instances for clients of an era, making those that are not there yet. There are others for
    /// modern clients only where the server may speak both eras, and there is room.
    fn shared<'a>(&self, instances: &'a mut Instances, era: Era) -> &'a [Arc<Upstream>] {
        let pool = self.eras.first_for(Era::Handshake);
        while instances.shared.len() < self.shared_max() {
            let upstream = self.new_shared(instances, pool, None);
            instances.shared.push(upstream);
        }
        if era == pool {
            // Nobody comes to the others any more, if there are any: the server turned out to speak one era.
            instances.modern.retain(is_needed);
            return &instances.shared;
        }
        while instances.modern.len() < self.shared_max() && self.has_room(instances) {
            let upstream = self.new_shared(instances, era, Some(self.room.claim()));
            instances.modern.push(upstream);
        }
        match instances.modern.as_slice() {
            [] => &instances.shared,
            modern => modern,
        }
    }

    fn lease_of_principal(&self, principal: &str, era: Era) -> Lease {
        let mut instances = self.lock();
        let key = (principal.to_owned(), era);
        if let Some(upstream) = instances.by_principal.get(&key) {
            return Lease::new(upstream.clone(), LeaseKind::Principal, "sharing = principal");
        }
        let Some(place) = self.place(&mut instances, || None) else {
            drop(instances);
            return self.lease_instead(era, "instances-max is reached: shared instead of per principal");
        };
        let upstream = self.new_shared(&instances, era, Some(place));
        instances.by_principal.insert(key, upstream.clone());
        Lease::new(upstream, LeaseKind::Principal, "sharing = principal")
    }

    fn lease_own(
        &self,
        applicant: &Applicant<'_>,
        own_inbound: impl FnOnce() -> Arc<dyn ServerMessages>,
        give_way: impl FnOnce() -> Option<Arc<Upstream>>,
        reason: &'static str,
    ) -> Lease {
        let mut instances = self.lock();
        let Some(place) = self.place(&mut instances, give_way) else {
            drop(instances);
            let era = self.eras.first_for(applicant.era);
            let reason = "instances-max is reached: shared instead of an instance of its own";
            return self.lease_instead(era, reason);
        };
        let facts = applicant
            .facts
            .cloned()
            .unwrap_or_else(|| Arc::new(InitializeParams::of_gateway()));
        let conversation = (facts, applicant.era);
        let upstream = self.new_instance(&instances, conversation, Some(place), |_| own_inbound());
        instances.own.push(Arc::downgrade(&upstream));
        Lease::new(upstream, LeaseKind::Own, reason)
    }

    /// Returns whether there may be one more instance besides the shared pool. Those that are still being ended have a place,
    /// but none to claim: who comes next waits for it, so that sessions that come and go fast do not pile up processes.
    fn has_room(&self, instances: &mut Instances) -> bool {
        instances.own.retain(|instance| instance.strong_count() > 0);
        let claimed = instances.modern.len() + instances.by_principal.len() + instances.own.len();
        claimed < besides(&self.spec)
    }

    /// Returns a place for one more instance besides the shared pool, if there is room or one gives way.
    fn place(
        &self,
        instances: &mut Instances,
        give_way: impl FnOnce() -> Option<Arc<Upstream>>,
    ) -> Option<Place> {
        if !self.has_room(instances) {
            let unused = self.take_unused(instances).or_else(give_way)?;
            instances.own.retain(|own| own.as_ptr() != Arc::as_ptr(&unused));
            // An order, because others may have handles of it.
            let end = async move { unused.close("another client needs its place").await };
            self.context.tasks.spawn(end);
        }
        Some(self.room.claim())
    }

    /// Takes out an instance that is kept for those who might come.
    fn take_unused(&self, instances: &mut Instances) -> Option<Arc<Upstream>> {
        let is_unused = |upstream: &Arc<Upstream>| upstream.usage().leases() == 0;
        // Where the server turned out to speak one era, nobody comes to the one by which that was learned.
        if self.eras.first_for(Era::Modern) == self.eras.first_for(Era::Handshake)
            && let Some(index) = instances.modern.iter().position(is_unused)
        {
            return Some(instances.modern.remove(index));
        }
        let kept = instances.by_principal.iter();
        let kept = kept.filter(|(_, upstream)| is_unused(upstream));
        let idlest = kept.min_by_key(|(_, upstream)| {
            (
                upstream.state().phase != Phase::Stopped,
                upstream.usage().last_release(),
            )
        });
        let key = idlest.map(|(key, _)| key.clone())?;
        instances.by_principal.remove(&key)
    }

    /// Returns whether an instance is one of those that there are now, and not about to end.
    pub fn has(&self, upstream: &Upstream) -> bool {
        upstream.is_of(&self.budget) && !upstream.is_closed()
    }

    fn shared_max(&self) -> usize {
        self.spec.instances.max(1)
    }

    /// Leases a shared instance to a session that should have got another one.
    fn lease_instead(&self, era: Era, reason: &'static str) -> Lease {
        tracing::warn!(server = %self.spec.name, limit = self.spec.instances_max, reason, "a session shares an instance");
        self.lease_shared((era, None), reason)
    }

    /// Returns every instance there is now.
    pub fn instances(&self) -> Vec<Arc<Upstream>> {
        let instances = self.lock();
        let own = instances.own.iter().filter_map(Weak::upgrade);
        instances
            .shared
            .iter()
            .chain(&instances.modern)
            .chain(instances.by_principal.values())
            .cloned()
            .chain(own)
            .collect()
    }

    /// Starts what runs without a session: the shared instances.
    pub async fn start(&self, cause: &str) {
        self.forgive();
        for upstream in self.startable() {
            upstream.ensure_started(cause).await;
        }
    }

    /// Starts the shared instances and waits until each is ready or has failed once.
    pub async fn start_and_settle(&self, cause: &str) {
        self.forgive();
        let instances = self.startable();
        let starts = instances.iter().map(|upstream| upstream.start_and_settle(cause));
        futures_util::future::join_all(starts).await;
    }

    /// An operator's order forgives the failures so far. Once for all instances: by the time the last of them has its
    /// order, the first may have failed again.
    fn forgive(&self) {
        self.budget.lock().expect("no holder panics").reset();
    }

    fn startable(&self) -> Vec<Arc<Upstream>> {
        if self.spec.sharing != Sharing::Session && self.instances().is_empty() {
            drop(self.lease_shared(
                (self.eras.first_for(Era::Handshake), None),
                "started without a session",
            ));
        }
        self.instances()
    }

    /// Lets nothing start any process, neither a request nor an order, until told otherwise. What runs is left alone.
    pub fn rest(&self, resting: bool) {
        self.resting.store(resting, Ordering::Release);
    }

    /// Ends every process; the next request starts one again.
    pub async fn stop(&self, cause: &str) {
        let stops = self.instances();
        futures_util::future::join_all(stops.iter().map(|upstream| upstream.stop(cause))).await;
    }

    /// Ends every process and starts it again.
    pub async fn restart(&self, cause: &str) {
        self.forgive();
        let instances = self.startable();
        futures_util::future::join_all(instances.iter().map(|upstream| upstream.restart(cause))).await;
    }

    /// Ends every process for good, and waits until also those are gone whose session ended before.
    pub async fn close(&self, cause: &str) {
        self.lock().closed = true;
        let instances = self.instances();
        futures_util::future::join_all(instances.iter().map(|upstream| upstream.close(cause))).await;
        self.supervisors.close();
        self.supervisors.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().expect("no holder panics")
    }

    /// Skips the graces of the stops that are under way and of all later ones.
    pub fn hurry(&self) {
        self.hurry.cancel();
    }

    fn new_shared(&self, instances: &Instances, wanted: Era, place: Option<Place>) -> Arc<Upstream> {
        let facts = Arc::new(InitializeParams::of_gateway());
        self.new_instance(instances, (facts, wanted), place, |instance| {
            (self.context.shared_inbound)(instance)
        })
    }

    fn new_instance(
        &self,
        instances: &Instances,
        (facts, wanted): (Arc<InitializeParams>, Era),
        place: Option<Place>,
        inbound: impl FnOnce(u64) -> Arc<dyn ServerMessages>,
    ) -> Arc<Upstream> {
        let instance = self.context.next_instance.fetch_add(1, Ordering::Relaxed) + 1;
        let options = UpstreamOptions {
            spec: self.spec.clone(),
            instance,
            door: self.door.clone(),
            opening: Opening {
                facts,
                wanted,
                eras: self.eras.clone(),
                door: self.door.clone(),
                probe_timeout: self.spec.probe_timeout,
                timeout: self.spec.handshake_timeout,
            },
            inbound: inbound(instance),
            observer: self.context.observer.clone(),
            starting: self.context.starting.clone(),
            budget: self.budget.clone(),
            tail: StderrTail::new(self.spec.stderr_tail),
            usage: Usage::new(),
            resting: self.resting.clone(),
            counts: Arc::new(ConnectionCounts::default()),
            chance: self.context.chance.clone(),
            hurry: self.hurry.child_token(),
        };
        let (upstream, supervisor) = Upstream::prepare(options, place);
        if instances.closed {
            upstream.close_soon("its server is gone");
        }
        let supervisor = self.supervisors.track_future(supervisor);
        self.context.tasks.spawn(supervisor);
        upstream
    }
}

/// Returns how many instances there may be besides the shared pool.
fn besides(spec: &ServerSpec) -> usize {
    spec.instances_max.saturating_sub(spec.instances.max(1))
}

/// Returns whether an instance that can be made again is to be kept.
fn is_needed(upstream: &Arc<Upstream>) -> bool {
    upstream.usage().leases() > 0 || upstream.state().phase != Phase::Stopped
}

#[cfg(test)]
mod tests;
