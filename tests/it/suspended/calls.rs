//! What a server says besides, and how it ends: progress, log messages, pages, its own end, that of the gateway.

use std::time::Duration;

use portcullis::registry::Actor;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::scenes::{ended, over, suspended, text, why};
use super::world::{NAME, World};
use super::{asks, whole};

fn steps(events: &[Value]) -> Vec<u64> {
    let progress = events
        .iter()
        .filter_map(|event| event["params"]["progress"].as_u64());
    progress.collect()
}

fn logged(events: &[Value]) -> usize {
    let is_log = |event: &&Value| event["method"] == "notifications/message";
    events.iter().filter(is_log).count()
}

/// What is said while its client is asked waits for it, and comes before what is said later.
#[tokio::test(start_paused = true)]
async fn what_a_server_says_around_its_question_is_heard_by_the_request_of_the_time() {
    let world = World::new(&[]).await;
    let first = world.send("alice", "a", json!({}));
    world.settled().await;
    world.server.progress("a", 1);
    world.server.log("a");
    world.server.ask("a");
    world.server.progress("a", 2);
    world.settled().await;
    world.server.log("a");
    world.settled().await;
    assert_eq!((steps(&first.events()), logged(&first.events())), (vec![1], 1));
    let second = world.hold("alice", "a", whole(&first.answer()));
    world.settled().await;
    world.server.progress("a", 3);
    world.settled().await;
    second.go();
    second.leave();
    world.settled().await;
    world.server.progress("a", 4);
    world.server.log("a");
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &second).await), "a");
    let methods = second.events();
    assert_eq!(
        (steps(&methods), logged(&methods)),
        (vec![2, 3, 4], 2),
        "{methods:?}"
    );
    over(world).await;
}

/// Of what is said while nobody hears it, so much is kept; the latest.
#[tokio::test(start_paused = true)]
async fn what_waits_for_a_client_is_bounded() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    (1..=100).for_each(|step| world.server.progress("a", step));
    world.settled().await;
    let request = world.send("alice", "a", whole(&asked));
    world.settled().await;
    assert_eq!(steps(&request.events()), (85..=100).collect::<Vec<_>>());
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn pages_and_questions_follow_each_other() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    // It answers that a page is to be visited while its client is being asked something else.
    world.server.want_visit("a");
    world.settled().await;
    let page = world.ask("alice", "a", whole(&asked)).await;
    assert_eq!(asks(&page), ["a:page"]);
    let request = world.send("alice", "a", whole(&page));
    world.settled().await;
    world.server.ask("a").expect("the call is made again");
    world.settled().await;
    let request = world.send("alice", "a", whole(&request.answer()));
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_before_it_hears_of_a_page_keeps_nothing() {
    let world = World::new(&[]).await;
    let mut request = world.send("alice", "a", json!({}));
    world.settled().await;
    request.abort().await;
    world.server.want_visit("a");
    world.settled().await;
    assert_eq!(
        (world.gateway.suspended(), world.gateway.sessions().len()),
        (0, 0)
    );
    over(world).await;
}

/// Whatever ends its process, the call is over for its client, in words.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_stopped_restarted_or_changed_meanwhile_is_the_answer() {
    let world = World::new(&[]).await;
    for number in 0..3 {
        let asked = suspended(&world, "a").await;
        let gateway = &world.gateway;
        match number {
            0 => drop(gateway.restart_server(NAME, Actor::Admin).await.expect("it runs")),
            1 => drop(gateway.stop_server(NAME, Actor::Admin).await.expect("it runs")),
            _ => {
                let other = |spec: &portcullis::config::ServerSpec| {
                    let mut spec = spec.clone();
                    spec.stop_grace += Duration::from_secs(1);
                    Ok::<_, portcullis::registry::RegistryError>(spec)
                };
                gateway.patch(NAME, Actor::Admin, other).await.expect("valid");
            }
        }
        let gone = world.ask("alice", "a", whole(&asked)).await;
        assert_eq!(gone["error"]["code"], -32003, "{gone}");
        assert_eq!(
            gone["error"]["message"]
                .as_str()
                .map(|text| text.contains("requestState")),
            Some(false)
        );
        let request = world.send("alice", "b", json!({}));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(text(&ended(&world, "b", &request).await), "b");
        assert_eq!(request.events(), Vec::<Value>::new());
    }
    over(world).await;
}

/// Nobody could go on with it, so nobody waits for that; what is under way comes to its end.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_stopping_suspends_nothing() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "waits").await;
    let taken = suspended(&world, "taken").await;
    let taken = world.hold("alice", "taken", whole(&taken));
    let open = world.send("alice", "open", json!({}));
    world.settled().await;
    world.gateway.begin_drain();
    assert_eq!(world.gateway.suspended(), 0);
    let late = world.ask("alice", "waits", whole(&asked)).await;
    assert!(why(&late).contains("or has ended"), "{late}");
    taken.go();
    taken.leave();
    world.settled().await;
    assert_eq!(why(&taken.answer()), "the gateway is stopping");
    world.server.ask("open");
    world.settled().await;
    assert!(open.answers().is_empty(), "{:?}", open.answers());
    let refused = &world.server.questions()[0].answers[0]["error"];
    assert_eq!(refused["message"], "the gateway is stopping", "{refused}");
    assert_eq!(text(&ended(&world, "open", &open).await), "open");
    let drained = timeout(Duration::from_secs(1), world.gateway.drained()).await;
    drained.expect("nothing is in flight any more");
    over(world).await;
}
