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
    let applicant = Applicant {
        principal,
        era: Era::Handshake,
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
