//! Who shares a process with whom.
//!
//! A [`ServerPool`] holds the instances of one server: those that sessions share, for ever; those of one principal, as
//! long as they run or somebody holds them; those of one session, as long as its lease. The decision is made once, when
//! a session opens, and can be read in the lease.
//!
//! There are never more than `instances-max`, those that are being ended included. `instances` of them are kept for the
//! shared pool, so that whoever finds no room for an instance of its own finds a shared one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backoff::{Chance, RestartBudget};
use super::connection::ConnectionCounts;
use super::door::Door;
use super::handle::{Upstream, UpstreamOptions, Usage};
use super::inbound::ServerMessages;
use super::launch::Launch;
use super::lease::{Applicant, Lease, LeaseKind};
use super::state::{Observer, Phase};
use super::stderr::StderrTail;
use crate::config::{ClientFeature, PidNamespace, ServerSpec, Sharing};
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
    hurry: CancellationToken,
    resting: Arc<AtomicBool>,
}

#[derive(Default)]
struct Instances {
    shared: Vec<Arc<Upstream>>,
    by_principal: BTreeMap<String, Arc<Upstream>>,
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
        Self {
            resting: Arc::new(AtomicBool::new(!spec.enabled)),
            door: Door::new(&spec, &context),
            spec,
            context,
            budget,
            instances: Mutex::default(),
            supervisors: TaskTracker::new(),
            hurry: CancellationToken::new(),
        }
    }

    /// Returns the configuration that its instances run with.
    pub fn spec(&self) -> &Arc<ServerSpec> {
        &self.spec
    }

    /// Returns a lease. `own_inbound` makes the receiver of the messages of an instance that is the applicant's alone.
    pub fn lease(
        &self,
        applicant: &Applicant<'_>,
        own_inbound: impl FnOnce() -> Arc<dyn ServerMessages>,
    ) -> Lease {
        match self.spec.sharing {
            Sharing::Shared => self.lease_shared(applicant.preferred, "sharing = shared"),
            Sharing::Principal => self.lease_of_principal(applicant.principal),
            Sharing::Session => self.lease_own(applicant, own_inbound, "sharing = session"),
            Sharing::Auto if self.may_be_asked_back(applicant) => self.lease_own(
                applicant,
                own_inbound,
                "its client can be asked back (client-features)",
            ),
            Sharing::Auto => self.lease_shared(
                applicant.preferred,
                "its client declares nothing that the server may ask for",
            ),
        }
    }

    /// Returns the instances of which the applicant would share one; none where it would share none.
    pub fn shared_by(&self, applicant: &Applicant<'_>) -> Vec<Arc<Upstream>> {
        match self.spec.sharing {
            Sharing::Shared => self.shared(&mut self.lock()).to_vec(),
            Sharing::Auto if !self.may_be_asked_back(applicant) => self.shared(&mut self.lock()).to_vec(),
            Sharing::Auto | Sharing::Principal | Sharing::Session => Vec::new(),
        }
    }

    /// Returns whether the client declares something that the server may ask for.
    fn may_be_asked_back(&self, applicant: &Applicant<'_>) -> bool {
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

    fn lease_shared(&self, preferred: Option<u64>, reason: &'static str) -> Lease {
        let mut instances = self.lock();
        let shared = self.shared(&mut instances);
        let wanted = shared
            .iter()
            .find(|upstream| Some(upstream.instance()) == preferred);
        let quietest = || {
            let load = |upstream: &&Arc<Upstream>| (upstream.in_flight(), upstream.usage().leases());
            shared.iter().min_by_key(load).expect("there is at least one")
        };
        Lease::new(wanted.unwrap_or_else(quietest).clone(), LeaseKind::Shared, reason)
    }

    /// Returns the shared instances, making those that are not there yet.
    fn shared<'a>(&self, instances: &'a mut Instances) -> &'a [Arc<Upstream>] {
        while instances.shared.len() < self.shared_max() {
            let upstream = self.new_shared(instances);
            instances.shared.push(upstream);
        }
        &instances.shared
    }

    fn lease_of_principal(&self, principal: &str) -> Lease {
        let mut instances = self.lock();
        if let Some(upstream) = instances.by_principal.get(principal) {
            return Lease::new(upstream.clone(), LeaseKind::Principal, "sharing = principal");
        }
        // What nobody holds and nothing runs in makes room, if not for this one then for the next.
        instances
            .by_principal
            .retain(|_, upstream| upstream.usage().leases() > 0 || upstream.state().phase != Phase::Stopped);
        if !self.has_room(&instances) {
            drop(instances);
            return self.lease_instead("instances-max is reached: shared instead of per principal");
        }
        let upstream = self.new_shared(&instances);
        instances
            .by_principal
            .insert(principal.to_owned(), upstream.clone());
        Lease::new(upstream, LeaseKind::Principal, "sharing = principal")
    }

    fn lease_own(
        &self,
        applicant: &Applicant<'_>,
        own_inbound: impl FnOnce() -> Arc<dyn ServerMessages>,
        reason: &'static str,
    ) -> Lease {
        let mut instances = self.lock();
        instances.own.retain(|instance| instance.strong_count() > 0);
        if !self.has_room(&instances) {
            drop(instances);
            return self.lease_instead("instances-max is reached: shared instead of an instance of its own");
        }
        let facts = applicant
            .facts
            .cloned()
            .unwrap_or_else(|| Arc::new(InitializeParams::of_gateway()));
        let upstream = self.new_instance(&instances, facts, |_| own_inbound());
        instances.own.push(Arc::downgrade(&upstream));
        Lease::new(upstream, LeaseKind::Own, reason)
    }

    /// Returns whether there may be one more instance besides the shared pool. Processes that are still being ended
    /// count: sessions that come and go fast must not pile them up.
    fn has_room(&self, instances: &Instances) -> bool {
        let besides = self.supervisors.len().saturating_sub(instances.shared.len());
        besides + self.shared_max() < self.spec.instances_max
    }

    fn shared_max(&self) -> usize {
        self.spec.instances.max(1)
    }

    /// Leases a shared instance to a session that should have got another one.
    fn lease_instead(&self, reason: &'static str) -> Lease {
        tracing::warn!(server = %self.spec.name, limit = self.spec.instances_max, reason, "a session shares an instance");
        self.lease_shared(None, reason)
    }

    /// Returns every instance there is now.
    pub fn instances(&self) -> Vec<Arc<Upstream>> {
        let instances = self.lock();
        let own = instances.own.iter().filter_map(Weak::upgrade);
        instances
            .shared
            .iter()
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
            drop(self.lease_shared(None, "started without a session"));
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

    fn new_shared(&self, instances: &Instances) -> Arc<Upstream> {
        let facts = Arc::new(InitializeParams::of_gateway());
        self.new_instance(instances, facts, |instance| {
            (self.context.shared_inbound)(instance)
        })
    }

    fn new_instance(
        &self,
        instances: &Instances,
        facts: Arc<InitializeParams>,
        inbound: impl FnOnce(u64) -> Arc<dyn ServerMessages>,
    ) -> Arc<Upstream> {
        let instance = self.context.next_instance.fetch_add(1, Ordering::Relaxed) + 1;
        let options = UpstreamOptions {
            spec: self.spec.clone(),
            instance,
            door: self.door.clone(),
            facts,
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
        let (upstream, supervisor) = Upstream::prepare(options);
        if instances.closed {
            upstream.close_soon("its server is gone");
        }
        let supervisor = self.supervisors.track_future(supervisor);
        self.context.tasks.spawn(supervisor);
        upstream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerDefaults;
    use crate::upstream::inbound::Deaf;
    use crate::upstream::launch::{LaunchFuture, LaunchSpec};

    /// Starts nothing, and never says so.
    struct NoLaunch;

    impl Launch for NoLaunch {
        fn launch<'a>(&'a self, _: &'a LaunchSpec) -> LaunchFuture<'a> {
            Box::pin(std::future::pending())
        }
    }

    fn pool(sharing: &str, instances: usize, instances_max: usize) -> ServerPool {
        let registration = serde_json::json!({
            "name": "a", "command": "a", "sharing": sharing, "instances": instances, "instancesMax": instances_max,
        });
        let spec = ServerSpec::from_api(&registration, &ServerDefaults::default()).expect("it is valid");
        let context = PoolContext {
            launch: Arc::new(NoLaunch),
            tasks: TaskTracker::new(),
            starting: Arc::new(Semaphore::new(1)),
            observer: Arc::new(|_| {}),
            shared_inbound: Box::new(|_| Arc::new(Deaf)),
            pid_namespace: PidNamespace::Off,
            environment: BTreeMap::new(),
            chance: Arc::new(|| 0.5),
            next_instance: AtomicU64::new(0),
        };
        ServerPool::new(Arc::new(spec), Arc::new(context))
    }

    fn lease(pool: &ServerPool, principal: &str) -> Lease {
        let applicant = Applicant {
            principal,
            facts: None,
            preferred: None,
        };
        pool.lease(&applicant, || Arc::new(Deaf))
    }

    fn kinds(leases: &[Lease]) -> Vec<LeaseKind> {
        leases.iter().map(Lease::kind).collect()
    }

    /// Lets the supervisors of what was dropped end.
    async fn settle(pool: &ServerPool, left: usize) {
        while pool.supervisors.len() > left {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn there_are_never_more_than_instances_max() {
        use LeaseKind::{Own, Shared};
        let pool = pool("session", 2, 4);
        let mut leases: Vec<Lease> = (0..5).map(|_| lease(&pool, "anonymous")).collect();
        assert_eq!(kinds(&leases), [Own, Own, Shared, Shared, Shared]);
        assert_eq!(pool.supervisors.len(), 4, "the limit");
        leases.remove(0);
        assert_eq!(
            lease(&pool, "anonymous").kind(),
            Shared,
            "what is being ended counts"
        );
        settle(&pool, 3).await;
        assert_eq!(lease(&pool, "anonymous").kind(), Own);
    }

    #[tokio::test]
    async fn without_room_besides_the_shared_pool_everybody_shares() {
        let pool = pool("session", 3, 3);
        let leases: Vec<Lease> = (0..4).map(|_| lease(&pool, "anonymous")).collect();
        assert_eq!(kinds(&leases), [LeaseKind::Shared; 4]);
        assert_eq!(pool.supervisors.len(), 3);
    }

    #[tokio::test]
    async fn a_principal_that_is_gone_makes_room_for_another() {
        use LeaseKind::{Principal, Shared};
        let pool = pool("principal", 1, 3);
        let leases = ["alice", "bob", "alice", "carol"].map(|principal| lease(&pool, principal));
        assert_eq!(kinds(&leases), [Principal, Principal, Principal, Shared]);
        drop(leases);
        assert_eq!(lease(&pool, "bob").kind(), Principal, "it is still there");
        assert_eq!(lease(&pool, "carol").kind(), Shared, "the room is not free yet");
        settle(&pool, 1).await;
        assert_eq!(lease(&pool, "carol").kind(), Principal);
    }
}
