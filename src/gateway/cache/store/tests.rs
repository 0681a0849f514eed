//! What a store finds, keeps and forgets.

use std::time::Duration;

use super::*;
use crate::protocol::Message;
use crate::upstream::SCAN;

const FIRST: Origin = Origin {
    instance: 1,
    generation: 1,
};
const PUBLIC: &str = "public";
const PRIVATE: &str = "private";
const TTL: Duration = Duration::from_secs(1);

/// A store, and what is sent and answered around it.
struct World {
    store: Store,
    now: Instant,
}

fn request(method: &str, uri: &str) -> Message {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"uri":"{uri}"}}}}"#);
    Message::parse(text.into(), SCAN).expect("a request")
}

fn read(uri: &str) -> Message {
    request("resources/read", uri)
}

fn question(origin: Origin, who: &str, request: &Message) -> Question {
    Question {
        origin,
        asked: Asked::of(request).expect("one that is kept"),
        principal: who.into(),
    }
}

/// Returns an answer of 100 bytes that says who gave it.
fn answer(says: &str, scope: &str, now: Instant) -> Kept {
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"ttlMs":1000,"cacheScope":"{scope}","x":"{says}","pad":""#
    );
    let pad = 100 - text.len() - 3;
    let text = format!(r#"{text}{}"}}}}"#, "-".repeat(pad));
    let message = Message::parse(text.into(), SCAN).expect("an answer");
    Kept::of(&message, usize::MAX, now).expect("it may be kept")
}

impl World {
    fn new(entries_max: usize, bytes_max: usize) -> Self {
        Self {
            store: Store::new(entries_max, bytes_max),
            now: Instant::now(),
        }
    }

    fn look(&mut self, origin: Origin, who: &str, request: &Message) -> Looked {
        self.store.look_up(&question(origin, who, request), self.now)
    }

    /// Returns who gave the answer that there is.
    fn found(&mut self, origin: Origin, who: &str, request: &Message) -> Option<String> {
        let Looked::Found(kept) = self.look(origin, who, request) else {
            return None;
        };
        let result = kept.at(self.now).result().expect("it is a result");
        crate::protocol::member::string_member(&result, "x")
    }

    fn send(&mut self, origin: Origin, request: &Message) -> Tick {
        match self.look(origin, "nobody", request) {
            Looked::Missing { since } => since,
            other => panic!("{other:?}"),
        }
    }

    fn arrive(&mut self, (origin, since): (Origin, Tick), who: &str, request: &Message, kept: Kept) {
        self.store.put(&question(origin, who, request), since, kept);
    }

    /// Has somebody ask, and the server answer at once.
    fn ask(&mut self, who: &str, request: &Message, scope: &str) {
        let since = self.send(FIRST, request);
        let kept = answer(who, scope, self.now);
        self.arrive((FIRST, since), who, request, kept);
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_have_an_answer_gets_it_until_its_time_is_over() {
    let mut world = World::new(10, 10_000);
    world.ask("alice", &read("a:public"), PUBLIC);
    world.ask("alice", &read("a:private"), PRIVATE);
    let check = |world: &mut World, who, uri, expect: Option<&str>| {
        let found = world.found(FIRST, who, &read(uri));
        assert_eq!(found.as_deref(), expect, "{who} {uri}");
    };
    check(&mut world, "alice", "a:public", Some("alice"));
    check(&mut world, "bob", "a:public", Some("alice"));
    check(&mut world, "alice", "a:private", Some("alice"));
    check(&mut world, "bob", "a:private", None);
    world.ask("bob", &read("a:private"), PRIVATE);
    check(&mut world, "bob", "a:private", Some("bob"));
    check(&mut world, "alice", "a:private", Some("alice"));
    assert_eq!(
        world.store.size(),
        (3, 300 + "a:public".len() + 2 * "a:private".len())
    );
    world.now += TTL - Duration::from_millis(1);
    check(&mut world, "bob", "a:public", Some("alice"));
    world.now += Duration::from_millis(1);
    check(&mut world, "bob", "a:public", None);
    assert_eq!(world.store.size().0, 2, "it is gone");
    world.store.sweep(world.now);
    assert_eq!(world.store.size(), (0, 0));
    assert!(world.store.uses.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_public_is_not_once_its_server_says_otherwise() {
    let mut world = World::new(10, 10_000);
    let since = world.send(FIRST, &read("a:b"));
    world.ask("alice", &read("a:b"), PUBLIC);
    let kept = answer("bob", PRIVATE, world.now);
    world.arrive((FIRST, since), "bob", &read("a:b"), kept);
    assert_eq!(world.found(FIRST, "alice", &read("a:b")), None);
    assert_eq!(world.found(FIRST, "bob", &read("a:b")).as_deref(), Some("bob"));
}

#[tokio::test(start_paused = true)]
async fn the_one_goes_that_was_not_asked_for_the_longest() {
    for (entries_max, bytes_max) in [(2, 10_000), (10, 250)] {
        let mut world = World::new(entries_max, bytes_max);
        for uri in ["a:1", "a:2"] {
            world.ask("x", &read(uri), PUBLIC);
        }
        assert!(world.found(FIRST, "x", &read("a:1")).is_some());
        world.ask("x", &read("a:3"), PUBLIC);
        assert_eq!(world.store.size(), (2, 206));
        let left = ["a:1", "a:2", "a:3"].map(|uri| world.found(FIRST, "x", &read(uri)).is_some());
        assert_eq!(left, [true, false, true], "{entries_max} {bytes_max}");
    }
    let mut world = World::new(10, 99);
    world.ask("x", &read("a:1"), PUBLIC);
    assert_eq!(
        world.store.size(),
        (0, 0),
        "nothing makes room for what is too large"
    );
}

#[tokio::test(start_paused = true)]
async fn what_has_changed_is_forgotten_and_nothing_else() {
    let requests = [
        request("tools/list", ""),
        request("prompts/list", ""),
        request("resources/list", ""),
        request("resources/templates/list", ""),
        read("a:/dir"),
        read("a:/dir/file"),
        read("a:/directory"),
    ];
    let check = |method, uri: Option<&str>, expect: &[usize]| {
        let mut world = World::new(10, 10_000);
        for request in &requests {
            world.ask("x", request, PUBLIC);
        }
        world
            .store
            .forget_changed(FIRST, super::super::key::changed_by(method), uri);
        let gone = |index: &usize| world.found(FIRST, "x", &requests[*index]).is_none();
        let gone: Vec<usize> = (0..requests.len()).filter(gone).collect();
        assert_eq!(gone, expect, "{method} {uri:?}");
    };
    check("notifications/tools/list_changed", None, &[0]);
    check("notifications/prompts/list_changed", None, &[1]);
    check("notifications/resources/list_changed", None, &[2, 3, 4, 5, 6]);
    check("notifications/resources/updated", Some("a:/dir/file"), &[4, 5]);
    check("notifications/resources/updated", Some("a:/dir"), &[4]);
    check("notifications/resources/updated", None, &[4, 5, 6]);
    check("notifications/message", None, &[]);
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_it_changed_is_not_kept() {
    let (tools, prompts) = (request("tools/list", ""), request("prompts/list", ""));
    let mut world = World::new(10, 10_000);
    let sent = [&tools, &prompts].map(|request| world.send(FIRST, request));
    world.store.forget_changed(
        FIRST,
        super::super::key::changed_by("notifications/tools/list_changed"),
        None,
    );
    for (request, since) in [&tools, &prompts].into_iter().zip(sent) {
        let kept = answer("x", PUBLIC, world.now);
        world.arrive((FIRST, since), "x", request, kept);
    }
    assert_eq!(world.found(FIRST, "x", &tools), None);
    assert!(world.found(FIRST, "x", &prompts).is_some(), "it has not changed");
    world.ask("x", &tools, PUBLIC);
    assert!(
        world.found(FIRST, "x", &tools).is_some(),
        "it was asked for since"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_another_start_or_another_instance() {
    let second = Origin {
        generation: 2,
        ..FIRST
    };
    let other = Origin { instance: 2, ..FIRST };
    let asked = read("a:b");
    let mut world = World::new(10, 10_000);
    world.ask("x", &asked, PUBLIC);
    let late = world.send(FIRST, &read("a:late"));
    assert_eq!(world.found(other, "x", &asked), None);
    assert_eq!(world.found(second, "x", &asked), None);
    assert_eq!(world.store.size(), (0, 0), "the first start is over");
    assert!(matches!(world.look(FIRST, "x", &asked), Looked::Nothing));
    let kept = answer("x", PUBLIC, world.now);
    world.arrive((FIRST, late), "x", &read("a:late"), kept);
    assert_eq!(world.store.size(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_an_instance_was_forgotten_is_not_kept() {
    let asked = read("a:b");
    let mut world = World::new(10, 10_000);
    let early = world.send(FIRST, &asked);
    world.store.forget(FIRST.instance);
    world.send(FIRST, &asked);
    let kept = answer("x", PUBLIC, world.now);
    world.arrive((FIRST, early), "x", &asked, kept);
    assert_eq!(world.store.size(), (0, 0));
}
