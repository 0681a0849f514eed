//! Crossings of two or three things, each in the order in which it hurts.

use std::time::Duration;

use portcullis::registry::Actor;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::world::{NAME, Request, World};
use super::{again, asks, whole, word};

/// Returns a call of alice's that waits for what she says, as the gateway put it to her.
pub(super) async fn suspended(world: &World, call: &str) -> Value {
    let request = world.send("alice", call, json!({}));
    world.settled().await;
    world.server.ask(call).expect("it is under way");
    world.settled().await;
    let asked = request.answer();
    assert_eq!(asks(&asked).len(), 1, "{asked}");
    asked
}

pub(super) fn text(answer: &Value) -> &str {
    let text = answer["result"]["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("no text in {answer}"))
}

pub(super) fn why(answer: &Value) -> &str {
    let why = answer["error"]["message"].as_str();
    why.unwrap_or_else(|| panic!("no error in {answer}"))
}

/// Has the server answer a call and returns what its client hears.
pub(super) async fn ended(world: &World, call: &str, request: &Request) -> Value {
    world.server.answer(call);
    world.settled().await;
    request.answer()
}

/// Ends everything, long after the last of it; nothing may be left.
pub(super) async fn over(world: World) {
    sleep(Duration::from_secs(300)).await;
    assert_eq!(world.end().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn of_two_that_go_on_with_a_call_one_does() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    let (one, two) = (
        world.hold("alice", "a", whole(&asked)),
        world.hold("alice", "a", whole(&asked)),
    );
    world.settled().await;
    assert!(why(&two.answer()).contains("has been gone on with"));
    one.go();
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &one).await), "a");
    one.leave();
    assert_eq!(world.server.all_questions()[0].answers.len(), 1);
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_gone_on_with_in_time_has_all_the_time_that_others_have() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    sleep(Duration::from_secs(59)).await;
    let request = world.hold("alice", "a", whole(&asked));
    // Policies may take their time, or the lists of a server.
    sleep(Duration::from_secs(10)).await;
    request.go();
    sleep(Duration::from_secs(29)).await;
    assert!(request.answers().is_empty());
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    request.leave();
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_with_a_call_and_leaves_ends_it() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    let mut request = world.hold("alice", "a", whole(&asked));
    world.settled().await;
    assert_eq!((world.gateway.suspended(), world.server.alive()), (0, 1));
    request.abort().await;
    world.settled().await;
    assert_eq!((world.gateway.sessions().len(), world.server.alive()), (0, 0));
    let again = world.ask("alice", "a", whole(&asked)).await;
    assert!(why(&again).contains("or has ended"), "{again}");
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_the_server_goes_on_ends_the_call() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    let mut request = world.send("alice", "a", whole(&asked));
    world.settled().await;
    request.abort().await;
    world.settled().await;
    assert_eq!((world.gateway.sessions().len(), world.server.alive()), (0, 0));
    over(world).await;
}

/// The answer that asks may be on its way for long; whoever has it goes on although the first request is still there.
#[tokio::test(start_paused = true)]
async fn a_first_request_that_leaves_late_takes_nothing_with_it() {
    let world = World::new(&[]).await;
    let first = world.hold("alice", "a", json!({}));
    world.settled().await;
    first.go();
    world.settled().await;
    world.server.ask("a");
    world.settled().await;
    let second = world.hold("alice", "a", whole(&first.answer()));
    world.settled().await;
    first.leave();
    world.settled().await;
    assert_eq!(world.server.alive(), 1);
    second.go();
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &second).await), "a");
    second.leave();
    over(world).await;
}

/// Neither that the server is gone, nor that it had a question, is news to another call.
#[tokio::test(start_paused = true)]
async fn a_server_that_dies_before_its_call_is_gone_on_with_is_the_answer_and_nobody_elses() {
    let world = World::new(&[]).await;
    for (is_received, says) in [(false, true), (false, false), (true, true), (true, false)] {
        let asked = suspended(&world, "a").await;
        let said = again(&asked, |text| word(text).filter(|_| says));
        let request = world.hold("alice", "a", said);
        if is_received {
            world.settled().await;
        }
        world.server.die("a");
        world.settled().await;
        request.go();
        request.leave();
        world.settled().await;
        assert_eq!(request.answer()["error"]["code"], -32003, "{}", request.answer());
        let other = world.send("alice", "b", json!({}));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(text(&ended(&world, "b", &other).await), "b");
        assert_eq!(other.events(), Vec::<Value>::new());
    }
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_while_its_call_is_gone_on_with_is_asked_next() {
    let world = World::new(&[]).await;
    let mut asked = suspended(&world, "a").await;
    for _ in 0..3 {
        let request = world.hold("alice", "a", whole(&asked));
        world.settled().await;
        let next = world.server.ask("a").expect("it is under way");
        world.settled().await;
        request.go();
        request.leave();
        world.settled().await;
        asked = request.answer();
        assert_eq!(asks(&asked), [next]);
    }
    let request = world.send("alice", "a", whole(&asked));
    world.settled().await;
    let next = world.server.ask("a").expect("it is under way");
    world.settled().await;
    assert_eq!(asks(&request.answer()), [next], "it asks after it was answered");
    let request = world.send("alice", "a", whole(&request.answer()));
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    for question in world.server.all_questions() {
        let said = &question.answers[0]["result"]["content"]["said"];
        assert_eq!((question.answers.len(), said), (1, &json!(question.text)));
    }
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn two_questions_are_both_asked_and_may_be_answered_one_by_one() {
    let world = World::new(&[]).await;
    let request = world.send("alice", "a", json!({}));
    world.settled().await;
    world.server.ask("a");
    world.server.ask("a");
    world.settled().await;
    let first = request.answer();
    let nothing = world.ask("alice", "a", again(&first, |_| None)).await;
    assert_eq!(asks(&nothing), ["a:0", "a:1"]);
    let only = |wanted: &'static str| move |text: &str| word(text).filter(|_| text == wanted);
    let one = world.ask("alice", "a", again(&nothing, only("a:1"))).await;
    assert_eq!(asks(&one), ["a:0"]);
    let request = world.send("alice", "a", whole(&one));
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_server_takes_back_is_not_asked() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    world.server.withdraw("a");
    world.settled().await;
    let request = world.send("alice", "a", again(&asked, |_| None));
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    let asked = suspended(&world, "b").await;
    world.server.withdraw("b");
    world.settled().await;
    let late = world.send("alice", "b", whole(&asked));
    world.settled().await;
    assert_eq!(text(&ended(&world, "b", &late).await), "b");
    let answers = world.server.all_questions();
    assert!(
        answers.iter().all(|question| question.answers.is_empty()),
        "{answers:?}"
    );
    over(world).await;
}

/// A question that outlives its call is answered with an error: the process may serve other calls.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_wait_for_what_it_asked_is_told_that_nobody_will_say() {
    let world = World::new(&[]).await;
    // As many as may wait for one client, and one more.
    for number in 0..257 {
        let call = number.to_string();
        let asked = suspended(&world, &call).await;
        world.server.answer(&call);
        world.settled().await;
        let answer = world.ask("alice", &call, again(&asked, |_| None)).await;
        assert_eq!(text(&answer), call);
    }
    assert_eq!(world.server.alive(), 1, "all in one process");
    for question in world.server.all_questions() {
        assert!(
            question.answers[0]["error"]["message"].is_string(),
            "{question:?}"
        );
    }
    over(world).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_else_goes_on_with_a_call() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    let stolen = world.ask("bob", "a", whole(&asked)).await;
    assert!(why(&stolen).contains("not made by this gateway"), "{stolen}");
    let other = world.ask("alice", "b", whole(&asked)).await;
    assert!(why(&other).contains("not the one that it was"), "{other}");
    let request = world.send("alice", "a", whole(&asked));
    world.settled().await;
    assert_eq!(text(&ended(&world, "a", &request).await), "a");
    over(world).await;
}

/// Whoever is not let in any more, or whose server goes, finds nothing; and nothing is kept for it.
#[tokio::test(start_paused = true)]
async fn a_suspended_call_ends_with_its_principal_and_with_its_server() {
    let world = World::new(&[("requests.suspended-max", "1")]).await;
    for number in 0..3 {
        let asked = suspended(&world, "a").await;
        match number {
            0 => world
                .gateway
                .end_sessions_unless(|caller| caller.subject() != Some("alice")),
            1 => drop(
                world
                    .gateway
                    .disable(NAME, Actor::Admin)
                    .await
                    .expect("it is enabled"),
            ),
            _ => {
                let spec = world.gateway.registry().server(NAME).expect("registered").spec();
                let gone = world.gateway.unregister(NAME, Actor::Admin).await;
                gone.expect("it is registered");
                let source = portcullis::registry::Source::Config;
                let again = world.gateway.register(spec, source, Actor::Config).await;
                again.expect("its name is free");
            }
        }
        assert_eq!(world.gateway.suspended(), 0, "its place is free at once");
        world.settled().await;
        assert_eq!(world.server.alive(), 0);
        if number == 1 {
            world
                .gateway
                .enable(NAME, Actor::Admin)
                .await
                .expect("it is disabled");
        }
        let late = world.ask("alice", "a", whole(&asked)).await;
        assert!(why(&late).contains("or has ended"), "{late}");
    }
    over(world).await;
}

/// It waits as long as it may, whatever else ends processes; then it has ended.
#[tokio::test(start_paused = true)]
async fn a_suspended_call_outlasts_the_time_of_idle_processes_and_of_requests_but_not_its_own() {
    let world = World::new(&[]).await;
    let asked = suspended(&world, "a").await;
    sleep(Duration::from_secs(55)).await;
    let asked = world.ask("alice", "a", again(&asked, |_| None)).await;
    sleep(Duration::from_secs(55)).await;
    assert_eq!((world.gateway.suspended(), world.server.alive()), (1, 1));
    sleep(Duration::from_secs(10)).await;
    assert_eq!((world.gateway.suspended(), world.server.alive()), (0, 0));
    let late = world.ask("alice", "a", whole(&asked)).await;
    assert!(why(&late).contains("or has ended"), "{late}");
    over(world).await;
}
