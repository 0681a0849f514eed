//! Decisions that cannot be carried out.

use super::rig::{MESSAGE, built, ctx, evil, failure, fine, items, matter};
use crate::plugin::ErrorKind;
use crate::plugin::call::Candidate;
use crate::plugin::trial::Image;
use crate::plugin::trial::{EVIL, Guest, RESULT};

async fn misjudges(guest: &Guest, text: &str) {
    let plugin = built(guest, |spec| spec.limits.output_max = 64 << 10).await;
    let (kind, detail) = failure(&plugin).await;
    assert_eq!(kind, ErrorKind::BadDecision, "{detail}");
    assert!(detail.contains(text), "{detail}");
}

async fn verdict(text: &str, verdict: impl FnOnce(&mut Image) -> u32) {
    let mut guest = Guest::new();
    let at = verdict(&mut guest.image);
    misjudges(&guest.returning("on-message", at), text).await;
}

#[tokio::test]
async fn edits_that_do_not_apply() {
    for (edit, text) in [
        (("/params/arguments/deep/er", Some("1")), "nothing at"),
        (("/params/arguments/gone", None), "nothing at"),
        (("/params/arguments/path/x", Some("1")), "nothing at"),
        (("/params/arguments/~2", Some("1")), "names no value"),
        (("/params/arguments/path", Some("{")), "not JSON"),
        (("/params/arguments/path", Some("1,\"x\":2")), "not JSON"),
        (("/params/arguments/path", Some("")), "not JSON"),
        // The envelope, and what only looks like the body.
        (("", Some("{}")), "only what is inside /params"),
        (("/id", Some("2")), "only what is inside /params"),
        (("/jsonrpc", Some("\"1.0\"")), "only what is inside /params"),
        (("/method", Some("\"tools/list\"")), "only what is inside /params"),
        (("/paramsx", Some("1")), "only what is inside /params"),
        (("/result", Some("1")), "only what is inside /params"),
        (("params", Some("{}")), "only what is inside /params"),
    ] {
        verdict(text, |image| image.edits(&[edit])).await;
    }
}

#[tokio::test]
async fn one_bad_edit_spoils_the_good_ones() {
    let good = ("/params/arguments/path", Some("\"y\""));
    verdict("only what is inside", |image| {
        image.edits(&[good, ("/id", Some("2"))])
    })
    .await;
    verdict("nothing at", |image| {
        image.edits(&[good, ("/params/no/where", Some("2"))])
    })
    .await;
}

#[tokio::test]
async fn a_replacement_that_is_not_json() {
    verdict("not JSON", |image| image.replacement("{\"name\":")).await;
}

#[tokio::test]
async fn a_good_edit_is_carried_out() {
    let mut guest = Guest::new();
    let at = guest.image.edits(&[
        ("/params/arguments/path", Some("\"y\"")),
        ("/params/arguments/more", Some("[1]")),
    ]);
    let plugin = built(&guest.returning("on-message", at), |_| {}).await;
    let judged = evil(&plugin).await.expect("a verdict");
    let changed = judged.outcome.expect("no denial").expect("changed");
    assert_eq!(
        changed,
        MESSAGE
            .replace(r#"{"path":"x"}"#, r#"{"path":"y","more":[1]}"#)
            .as_bytes()
    );
}

#[tokio::test]
async fn more_is_claimed_than_there_is_or_may_be() {
    let claim = 64 << 20;
    // A string beyond the memory, a string within it but longer than output-max, a list of as many edits and notes.
    verdict("out of bounds", |image| image.verdict(&[3, 0, claim], [0, 0])).await;
    verdict("too much data", |image| image.verdict(&[3, 0, 100 << 10], [0, 0])).await;
    verdict("out of bounds", |image| image.verdict(&[2, 8, claim], [0, 0])).await;
    verdict("too much data", |image| image.verdict(&[2, 8, 4000], [0, 0])).await;
    verdict("out of bounds", |image| image.verdict(&[0], [8, claim])).await;
    verdict("too much data", |image| image.verdict(&[0], [8, 8000])).await;
}

#[tokio::test]
async fn an_answer_that_breaks_the_rules_of_components() {
    verdict("unexpected discriminant", |image| image.verdict(&[9], [0, 0])).await;
    verdict("utf-8", |image| {
        let at = image.put(&[0xff, 0xfe]);
        image.verdict(&[3, at, 2], [0, 0])
    })
    .await;
    let far = Guest::new().doing("on-message", "(return (i32.const 0x7ffffff0))");
    misjudges(&far, "out of bounds").await;
    let odd = Guest::new().doing("on-message", format!("(return (i32.const {}))", RESULT + 1));
    misjudges(&odd, "not aligned").await;
}

#[tokio::test]
async fn an_allocation_that_goes_nowhere() {
    let guest = Guest::new().doing("on-message", "(global.set $heap (i32.const 0x7fff0000))");
    let plugin = built(&guest, |_| {}).await;
    evil(&plugin)
        .await
        .expect("it passes, and is broken from then on");
    let error = evil(&plugin).await.expect_err("nowhere to put the context");
    assert!(error.detail.contains("realloc return"), "{error}");
    fine(&plugin).await;
}

#[tokio::test]
async fn too_many_or_too_long_notes() {
    verdict("17 notes", |image| image.notes(17, 1)).await;
    verdict("notes of 9002 bytes", |image| image.notes(2, 4500)).await;
    let mut guest = Guest::new();
    let at = guest.image.notes(16, 100);
    let plugin = built(&guest.returning("on-message", at), |_| {}).await;
    assert_eq!(evil(&plugin).await.expect("a verdict").notes.len(), 16);
}

#[tokio::test]
async fn a_denial_whose_data_is_not_json() {
    verdict("data of a denial", |image| {
        let mut words = vec![1];
        words.extend(image.denial(Some("{x}")));
        image.verdict(&words, [0, 0])
    })
    .await;
    let mut guest = Guest::new();
    let mut words = vec![1];
    words.extend(guest.image.denial(Some("{x}")));
    let at = guest.image.words(&words);
    let plugin = built(&guest.returning("authorize", at).returning("choose", at), |_| {}).await;
    let asked = plugin.authorize(&ctx(EVIL), &matter(MESSAGE), None).await;
    assert_eq!(asked.expect_err("no data").kind, ErrorKind::BadDecision);
    let asked = plugin.choose(&ctx(EVIL), &matter(MESSAGE), &candidates(2)).await;
    assert_eq!(asked.expect_err("no data").kind, ErrorKind::BadDecision);
}

#[tokio::test]
async fn a_denial_is_a_decision() {
    let mut guest = Guest::new();
    let mut words = vec![1];
    words.extend(guest.image.denial(Some("{\"x\":1}")));
    let at = guest.image.words(&words);
    let plugin = built(&guest.returning("authorize", at), |_| {}).await;
    let denial = plugin
        .authorize(&ctx(EVIL), &matter(MESSAGE), Some(&items(1)[0]))
        .await;
    let denial = denial.expect("a decision").expect_err("a denial");
    assert_eq!(
        (denial.code, denial.message.as_str(), denial.reason.as_str()),
        (-32001, "no", "because")
    );
    assert_eq!(plugin.errors(), []);
}

fn candidates(count: u32) -> Vec<Candidate> {
    let candidate = |place: u32| Candidate {
        server: format!("s{place}"),
        instance: None,
        healthy: true,
        in_flight: 0,
        weight: 1,
        labels: Vec::new(),
    };
    (0..count).map(candidate).collect()
}

#[tokio::test]
async fn routes_that_lead_nowhere() {
    for (indexes, text) in [
        (&[][..], "nowhere"),
        (&[0, 3], "candidate 3 of 3"),
        (&[u32::MAX], "candidate 4294967295 of 3"),
        (&[1, 1], "twice"),
    ] {
        let mut guest = Guest::new();
        let at = guest.image.words(indexes);
        let route = guest.image.words(&[1, at, indexes.len() as u32]);
        let plugin = built(&guest.returning("choose", route), |_| {}).await;
        let asked = plugin.choose(&ctx(EVIL), &matter(MESSAGE), &candidates(3)).await;
        let error = asked.expect_err("no route");
        assert_eq!(error.kind, ErrorKind::BadDecision);
        assert!(error.detail.contains(text), "{error}");
        let next = plugin
            .choose(&ctx("tools/call"), &matter(MESSAGE), &candidates(3))
            .await;
        assert_eq!(next.expect("an answer"), Ok(None));
    }
}

#[tokio::test]
async fn items_that_are_kept_and_do_not_exist() {
    let mut guest = Guest::new();
    let at = guest.image.words(&[0, 2]);
    let kept = guest.image.words(&[at, 2]);
    let plugin = built(&guest.returning("filter", kept), |_| {}).await;
    let asked = plugin.filter(&ctx(EVIL), &matter(MESSAGE), &items(2)).await;
    assert_eq!(asked.expect_err("no such item").kind, ErrorKind::BadDecision);
    let asked = plugin.filter(&ctx(EVIL), &matter(MESSAGE), &items(3)).await;
    assert_eq!(asked.expect("an answer"), [true, false, true]);
}
