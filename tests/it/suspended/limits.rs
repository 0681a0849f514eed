//! How many calls may wait, and who gives way.

use serde_json::json;

use super::scenes::{ended, over, suspended, text};
use super::world::World;
use super::{again, asks, whole};

async fn asks_in_vain(world: &World, owner: &'static str, call: &str, limit: &str) {
    let request = world.send(owner, call, json!({}));
    world.settled().await;
    let asked = world.server.ask(call).expect("it is under way");
    world.settled().await;
    let questions = world.server.questions();
    let question = questions.iter().find(|question| question.text == asked);
    let refused = question.expect("it was asked").answers[0]["error"]["message"].to_string();
    assert!(refused.contains(limit), "{refused}");
    assert_eq!(text(&ended(world, call, &request).await), call);
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_wait_of_one_principal_and_in_all() {
    let limits = [
        ("requests.suspended-max", "3"),
        ("requests.suspended-per-principal-max", "2"),
    ];
    let world = World::new(&limits).await;
    let (one, two) = (suspended(&world, "1").await, suspended(&world, "2").await);
    asks_in_vain(&world, "alice", "3", "suspended-per-principal-max").await;
    let bobs = world.send("bob", "4", json!({}));
    world.settled().await;
    world.server.ask("4");
    world.settled().await;
    assert_eq!(asks(&bobs.answer()).len(), 1);
    asks_in_vain(&world, "bob", "5", "requests.suspended-max").await;
    // Who goes on with a call gives its place back, and gets it again.
    let one = world.ask("alice", "1", again(&one, |_| None)).await;
    for (owner, call, asked) in [
        ("alice", "1", one),
        ("alice", "2", two),
        ("bob", "4", bobs.answer()),
    ] {
        let request = world.send(owner, call, whole(&asked));
        world.settled().await;
        assert_eq!(text(&ended(&world, call, &request).await), call);
    }
    assert_eq!(world.gateway.suspended(), 0);
    over(world).await;
}

/// While a call is gone on with its place is free; where another one has got it, the server hears that nobody can be asked.
#[tokio::test(start_paused = true)]
async fn a_call_whose_place_is_taken_goes_on_without_what_is_still_open() {
    let world = World::new(&[("requests.suspended-max", "1")]).await;
    let one = suspended(&world, "1").await;
    let request = world.hold("alice", "1", again(&one, |_| None));
    world.settled().await;
    let two = suspended(&world, "2").await;
    request.go();
    request.leave();
    world.settled().await;
    let questions = world.server.questions();
    let question = questions.iter().find(|question| question.text.starts_with("1:"));
    let refused = question.expect("it was asked").answers[0]["error"]["message"].to_string();
    assert!(refused.contains("requests.suspended-max"), "{refused}");
    assert_eq!(text(&ended(&world, "1", &request).await), "1");
    let request = world.send("alice", "2", whole(&two));
    world.settled().await;
    assert_eq!(text(&ended(&world, "2", &request).await), "2");
    over(world).await;
}

/// A call that waits keeps its process; one that is over gives way.
#[tokio::test(start_paused = true)]
async fn who_stands_by_gives_way_and_who_is_suspended_does_not() {
    let world = World::new(&[("servers.s.instances-max", "3")]).await;
    let asked = suspended(&world, "waits").await;
    let over_soon = suspended(&world, "over").await;
    let request = world.send("alice", "over", whole(&over_soon));
    world.settled().await;
    assert_eq!(text(&ended(&world, "over", &request).await), "over");
    assert_eq!(world.server.alive(), 2, "one stands by");
    let bobs = world.send("bob", "b", json!({}));
    world.settled().await;
    world.server.ask("b");
    world.settled().await;
    assert_eq!(asks(&bobs.answer()).len(), 1, "it has a process of its own");
    // There is no more room: the third shares, and its server has nobody to ask.
    let third = world.send("carol", "c", json!({}));
    world.settled().await;
    world.server.ask("c");
    world.settled().await;
    assert!(third.answers().is_empty());
    assert_eq!(text(&ended(&world, "c", &third).await), "c");
    for (owner, call, asked) in [("alice", "waits", asked), ("bob", "b", bobs.answer())] {
        let request = world.send(owner, call, whole(&asked));
        world.settled().await;
        assert_eq!(text(&ended(&world, call, &request).await), call);
    }
    over(world).await;
}

/// A client may take its time; its requests that are over are nothing to remember.
#[tokio::test(start_paused = true)]
async fn who_comes_again_and_again_and_says_nothing_piles_up_nothing() {
    let world = World::new(&[]).await;
    let mut asked = suspended(&world, "a").await;
    for number in 0..5_000 {
        asked = world.ask("alice", "a", again(&asked, |_| None)).await;
        assert_eq!(asks(&asked), ["a:0"]);
        assert_eq!(world.gateway.in_flight(), 1, "{number}");
    }
    let request = world.send("alice", "a", whole(&asked));
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    over(world).await;
}
