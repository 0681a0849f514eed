//! Who gets which instance, and how many there may be.

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
    lease_or(pool, principal, || None)
}

fn lease_or(pool: &ServerPool, principal: &str, give_way: impl FnOnce() -> Option<Arc<Upstream>>) -> Lease {
    let applicant = Applicant {
        principal,
        era: Era::Handshake,
        facts: None,
        preferred: None,
    };
    pool.lease(&applicant, || Arc::new(Deaf), give_way)
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
    let [ending, ended] = [0, 0].map(|index| leases.remove(index));
    drop(ending);
    let next = lease(&pool, "anonymous");
    assert_eq!(next.kind(), Own);
    assert_eq!(lease(&pool, "anonymous").kind(), Shared, "the limit");
    drop(ended);
    let after = lease(&pool, "anonymous");
    drop(next);
    after.upstream().stop("its first order").await;
    settle(&pool, 3).await;
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
    let carol = lease(&pool, "carol");
    assert_eq!(carol.kind(), Principal, "alice was there first");
    let bob = lease(&pool, "bob");
    assert_eq!(bob.kind(), Principal, "it is still there");
    assert_eq!(
        lease(&pool, "alice").kind(),
        Shared,
        "nobody has to go who uses it"
    );
    settle(&pool, 3).await;
}

#[tokio::test]
async fn who_gives_way_leaves_its_place_to_that_one_and_no_other() {
    use LeaseKind::{Own, Shared};
    let pool = pool("session", 1, 2);
    let idle = lease(&pool, "anonymous");
    let next = lease_or(&pool, "anonymous", || Some(idle.upstream().clone()));
    assert_eq!((idle.kind(), next.kind()), (Own, Own));
    let other = lease(&pool, "anonymous");
    assert_eq!(other.kind(), Shared, "the place is promised");
    assert!(!idle.upstream().is_closed(), "and not left yet");
    next.upstream().stop("its first order").await;
    assert!(idle.upstream().is_closed(), "though somebody still holds it");
    drop(next);
    settle(&pool, 1).await;
    assert_eq!(lease(&pool, "anonymous").kind(), Own, "it is free again");
}
