//! One schedule: a pool, its clients and its operator, from the beginning to the end of everything.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis::config::{PidNamespace, ServerDefaults, ServerSpec, Sharing};
use portcullis::upstream::PoolContext;
use portcullis::upstream::ServerPool;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::actors::{Client, Ear, Operator, close};
use super::dice::Dice;
use super::messages::LINE_MAX;
use super::peer::ScriptedLaunch;
use super::world::{Summary, World};

/// Longer than any schedule takes, on its own clock.
const SCHEDULE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longer than a launch and every step of a stop take.
const END_MAX: Duration = Duration::from_secs(120);
/// Longer than a process is stuck after SIGKILL, or its output outlives it.
const STUCK_MAX: Duration = Duration::from_secs(90);

pub(super) fn run(seed: u64) -> Summary {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(play(Dice::new(seed)))
}

async fn play(mut dice: Dice) -> Summary {
    let spec = spec(&mut dice);
    let starting_max = usize::try_from(1 + dice.below(3)).expect("below three");
    let world = Arc::new(World::new(&spec, starting_max));
    world.note(format!(
        "sharing {:?}, instances {} to {}, starting_max {starting_max}",
        spec.sharing, spec.instances, spec.instances_max
    ));
    let tasks = TaskTracker::new();
    let starting = Arc::new(Semaphore::new(starting_max));
    let context = context(&mut dice, &world, &tasks, &starting);
    let pool = Arc::new(ServerPool::new(Arc::new(spec), Arc::new(context)));

    let kept = Arc::default();
    let mut actors = JoinSet::new();
    for client in 0..=dice.below(6) {
        let client = Client {
            world: Arc::clone(&world),
            pool: Arc::clone(&pool),
            dice: dice.fork(),
            first_number: client * 1_000_000,
            kept: Arc::clone(&kept),
        };
        actors.spawn(client.run());
    }
    // Two of them, so that an order can come while another one is carried out.
    for _ in 0..2 {
        let operator = Operator {
            world: Arc::clone(&world),
            pool: Arc::clone(&pool),
            dice: dice.fork(),
        };
        actors.spawn(operator.run());
    }
    await_actors(&world, actors).await;
    drop(kept);

    sleep(dice.time(Duration::from_secs(60))).await;
    end(&mut dice, &world, pool, &tasks).await;
    if starting.available_permits() != starting_max {
        world.broken("a place among the starts was not given back");
    }
    sleep(STUCK_MAX).await;
    world.finish()
}

async fn await_actors(world: &World, mut actors: JoinSet<()>) {
    let all = async {
        while let Some(result) = actors.join_next().await {
            if let Err(error) = result {
                world.broken(format!("an actor did not come to its end: {error}"));
            }
        }
    };
    if timeout(SCHEDULE_MAX, all).await.is_err() {
        world.broken("an actor waits for ever");
    }
}

/// Closes the pool, or lets go of it; either way every supervisor ends.
async fn end(dice: &mut Dice, world: &World, pool: Arc<ServerPool>, tasks: &TaskTracker) {
    if dice.percent(50) {
        world.note("the pool is closed");
        if timeout(END_MAX, close(world, &pool)).await.is_err() {
            world.broken("closing takes for ever");
        }
    }
    world.note("the pool is let go");
    drop(pool);
    tasks.close();
    if timeout(END_MAX, tasks.wait()).await.is_err() {
        world.broken(format!("{} supervisors do not end", tasks.len()));
    }
    let left = world.watched();
    if !left.is_empty() {
        world.broken(format!("{left:?} live after their supervisors"));
    }
}

fn spec(dice: &mut Dice) -> ServerSpec {
    let defaults = ServerDefaults::default();
    let registration = json!({ "name": "scripted", "command": "scripted" });
    let mut spec = ServerSpec::from_api(&registration, &defaults).expect("it is valid");
    spec.sharing = dice.pick(&[
        Sharing::Shared,
        Sharing::Shared,
        Sharing::Session,
        Sharing::Principal,
    ]);
    spec.instances = dice.pick(&[1, 1, 1, 3]);
    spec.instances_max = spec.instances + dice.pick(&[0, 1, 4]);
    spec.autostart = dice.percent(30);
    spec.handshake_timeout = Duration::from_secs(5 + dice.below(10));
    spec.idle_timeout = dice.pick(&[None, Some(Duration::from_secs(10)), Some(Duration::from_secs(60))]);
    spec.linger = Duration::from_secs(dice.below(30));
    spec.stop_grace = Duration::from_secs(1 + dice.below(5));
    spec.ping_interval = dice.pick(&[None, Some(Duration::from_secs(2)), Some(Duration::from_secs(15))]);
    spec.ping_timeout = Duration::from_secs(1 + dice.below(8));
    spec.restart.window = Duration::from_secs(60 + dice.below(240));
    spec.restart.stable_after = Duration::from_secs(5 + dice.below(60));
    spec.restart.cool_down = Duration::from_secs(1 + dice.below(30));
    spec.restart.backoff_max = Duration::from_secs(1 + dice.below(20));
    spec.line_max = LINE_MAX;
    spec.queue_max = dice.pick(&[2, 64]);
    spec.queue_bytes_max = dice.pick(&[256, 1 << 20]);
    spec.in_flight_max = dice.pick(&[1, 4, 64]);
    spec
}

fn context(
    dice: &mut Dice,
    world: &Arc<World>,
    tasks: &TaskTracker,
    starting: &Arc<Semaphore>,
) -> PoolContext {
    let launch = ScriptedLaunch {
        world: Arc::clone(world),
        dice: Mutex::new(dice.fork()),
        trouble: dice.pick(&[0, 10, 40, 90]),
        mended_after: dice.pick(&[3, 20, usize::MAX]),
        starts: AtomicUsize::new(0),
    };
    let chances = Mutex::new(dice.fork());
    let ears = Mutex::new(dice.fork());
    let observed = Arc::clone(world);
    PoolContext {
        launch: Arc::new(launch),
        tasks: tasks.clone(),
        starting: Arc::clone(starting),
        observer: Arc::new(move |change| observed.observe(change)),
        shared_inbound: Box::new(move |_| {
            let mut dice = ears.lock().expect("no holder panics");
            Arc::new(Ear {
                dice: Mutex::new(dice.fork()),
                keeps_process: dice.percent(10),
                congests: false,
            })
        }),
        pid_namespace: PidNamespace::Off,
        environment: BTreeMap::new(),
        chance: Arc::new(move || chances.lock().expect("no holder panics").fraction()),
        next_instance: AtomicU64::new(0),
    }
}
