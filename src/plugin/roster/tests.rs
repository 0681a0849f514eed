//! Rounds over real folders with real components.

mod rig;

use std::fs;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::rig::{Rig, SCAN, ctx, generation, matter, refused, shown};
use super::super::set::Why;
use super::super::signature::SecretKey;
use super::super::trial::Trial;
use super::super::watch::Watched;
use super::entry::ERROR_MAX;
use super::*;
use crate::config::{ExpandedJson, OnError, PluginSpec};
use crate::plugin::Aim;

#[tokio::test]
async fn a_named_plugin_judges_and_one_that_only_lies_there_is_idle() {
    let rig = Rig::new();
    let mut guard = Trial::new("guard", "1.0.0");
    guard.denies = true;
    guard.drop_into(&rig.dir);
    Trial::new("other", "2.0.0").drop_into(&rig.dir);
    fs::create_dir(rig.dir.join("sources-only")).expect("a folder");
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    assert_eq!(shown(&roster), ["guard active 1.0.0"]);
    let set = rig.plugins.current();
    let refusal = set.authorize(&ctx(), &matter(), None).await.expect_err("denied");
    let Why::Denied(denial) = refusal.why else {
        panic!("{refusal:?}")
    };
    assert_eq!((denial.code, &*denial.message), (-32001, "1.0.0"));
    roster.reload().await.expect("nothing is wrong");
    assert_eq!(shown(&roster), ["guard active 1.0.0", "other idle 2.0.0"]);
    assert_eq!(rig.plugins.current().plugins().len(), 1);
    let record = &roster.records()[0];
    assert_eq!(record["hooks"]["access"]["denials"], 1, "{record}");
    assert_eq!(record["hooks"]["access"]["methods"], json!(["*"]));
    assert_eq!(record["exports"], json!(["access", "on-message"]));
    assert_eq!(record["instances"]["idle"], 1);
}

#[tokio::test]
async fn what_is_dropped_judges_where_the_operator_wants_it() {
    let rig = Rig::new();
    Trial::new("b", "1.0.0").drop_into(&rig.dir);
    Trial::new("a", "1.0.0").drop_into(&rig.dir);
    rig.name("b", |_| {});
    rig.change(|orders| orders.host.activate = Activate::Dropped);
    let roster = rig.started().await;
    let names = |set: &PluginSet| {
        set.plugins()
            .iter()
            .map(|plugin| plugin.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&rig.plugins.current()), ["b", "a"], "the named ones first");
    let held = rig.plugins.current();
    fs::remove_dir_all(rig.dir.join("a")).expect("ours");
    roster.reload().await.expect("nobody named it");
    assert_eq!(names(&rig.plugins.current()), ["b"]);
    assert_eq!(shown(&roster), ["a retired 1.0.0", "b active 1.0.0"]);
    held.authorize(&ctx(), &matter(), None)
        .await
        .expect("it goes on for who holds it");
    drop(held);
    assert_eq!(shown(&roster), ["b active 1.0.0"], "and is gone with them");
}

#[tokio::test]
async fn nobody_who_judges_is_missed_because_the_folder_cannot_be_seen() {
    let rig = Rig::new();
    Trial::new("a", "1.0.0").drop_into(&rig.dir);
    rig.change(|orders| orders.host.activate = Activate::Dropped);
    let roster = rig.started().await;
    let judges = || {
        let set = rig.plugins.current();
        set.plugins()
            .iter()
            .map(|plugin| plugin.name().to_owned())
            .collect::<Vec<_>>()
    };
    // No folder that can be read.
    let aside = rig.dir.with_extension("aside");
    fs::rename(&rig.dir, &aside).expect("ours");
    fs::write(&rig.dir, "").expect("written");
    assert!(refused(roster.reload().await)[0].starts_with("plugins.dir: it cannot be read"));
    assert_eq!(judges(), ["a"]);
    fs::remove_file(&rig.dir).expect("ours");
    fs::rename(&aside, &rig.dir).expect("ours");
    // Half of a plugin, while the other half is replaced.
    fs::remove_file(rig.dir.join("a/plugin.wasm")).expect("ours");
    roster.reload().await.expect("nobody named it");
    assert_eq!(shown(&roster), ["a active 1.0.0", "a failed -"]);
    assert_eq!(judges(), ["a"]);
    Trial::new("a", "1.1.0").drop_into(&rig.dir);
    roster.reload().await.expect("whole again");
    assert_eq!(shown(&roster), ["a active 1.1.0"]);
    // So many that not all would be looked at.
    for number in 0..DROPPED_MAX {
        let folder = rig.dir.join(format!("a-{number}"));
        fs::create_dir(&folder).expect("a folder");
        for file in ["plugin.toml", "plugin.wasm"] {
            fs::write(folder.join(file), "").expect("written");
        }
    }
    assert!(refused(roster.reload().await)[0].contains("at most 64 are looked at"));
    assert_eq!(judges(), ["a"]);
}

#[tokio::test]
async fn what_is_dropped_and_has_to_judge_is_let_in_at_the_start_or_nothing_starts() {
    let rig = Rig::new();
    let mut bad = Trial::new("a", "1.0.0");
    bad.refuses = true;
    bad.drop_into(&rig.dir);
    drop(rig.started().await);
    rig.change(|orders| orders.host.activate = Activate::Dropped);
    assert_eq!(
        rig.not_started().await,
        ["plugins.a: init refused: it never starts"]
    );
    bad.refuses = false;
    bad.drop_into(&rig.dir);
    let roster = rig.started().await;
    // Later on a new one that is not let in changes nothing.
    bad = Trial::new("b", "1.0.0");
    bad.refuses = true;
    bad.drop_into(&rig.dir);
    roster.reload().await.expect("nobody named it");
    assert_eq!(shown(&roster), ["a active 1.0.0", "b failed -"]);
    // What could not start is tried again, what is no plugin is not.
    fs::write(rig.dir.join("b/plugin.toml"), "").expect("written");
    let is_tried = || roster.book().entries["b"].tried.is_some();
    assert!(!is_tried());
    roster.reload().await.expect("nobody named it");
    assert!(is_tried());
}

/// Its component is not of the version that its manifest says.
fn drop_impostor(rig: &Rig) {
    let mut impostor = Trial::new("impostor", "1.0.0");
    impostor.drop_into(&rig.dir);
    impostor.version = "1.0.1".to_owned();
    fs::write(rig.dir.join("impostor/plugin.toml"), impostor.manifest()).expect("written");
    rig.name("impostor", |_| {});
}

#[tokio::test]
async fn what_is_said_of_a_plugin_is_no_longer_than_people_read() {
    let rig = Rig::new();
    let mut boasting = Trial::new("a", "1.0.0");
    boasting.version = "x".repeat(100_000);
    boasting.drop_into(&rig.dir);
    boasting.version = "1.0.0".to_owned();
    fs::write(rig.dir.join("a/plugin.toml"), boasting.manifest()).expect("written");
    rig.name("a", |_| {});
    let problems = rig.not_started().await;
    assert!(problems[0].len() < ERROR_MAX + 100, "{}", problems[0].len());
}

/// Its component is none.
fn drop_garbage(rig: &Rig) {
    fs::create_dir(rig.dir.join("garbage")).expect("a folder");
    fs::write(
        rig.dir.join("garbage/plugin.toml"),
        Trial::new("garbage", "1.0.0").manifest(),
    )
    .expect("written");
    fs::write(rig.dir.join("garbage/plugin.wasm"), b"\0asm garbage").expect("written");
    rig.name("garbage", |_| {});
}

#[tokio::test]
async fn everything_that_keeps_the_gateway_from_starting_is_told_at_once() {
    let rig = Rig::new();
    rig.change(|orders| orders.host.require_signature = false);
    let with = |name: &str, change: fn(&mut Trial), spec: fn(&mut PluginSpec)| {
        let mut trial = Trial::new(name, "1.0.0");
        change(&mut trial);
        trial.drop_into(&rig.dir);
        rig.name(name, spec);
    };
    rig.name("absent", |_| {});
    with("pinned", |_| {}, |spec| spec.sha256 = Some("00".repeat(32)));
    with("refuses", |trial| trial.refuses = true, |_| {});
    with("wants-kv", |trial| trial.imports_kv = true, |_| {});
    with("skips", |_| {}, |spec| spec.on_error = OnError::Skip);
    with("typo", |trial| trial.manifest = "[hook]\n".to_owned(), |_| {});
    with(
        "strict",
        |trial| trial.manifest = "config.schema = { additionalProperties = false }".to_owned(),
        |spec| spec.config = ExpandedJson::literal(json!({ "rulez": [] })),
    );
    with(
        "lies",
        |trial| {
            trial.manifest = "[[smoke]]\nname = \"denies\"\nhook = \"authorize\"\ncontext = { method = \"ping\" }\nexpect = \"deny\"".to_owned()
        },
        |_| {},
    );
    drop_impostor(&rig);
    drop_garbage(&rig);

    let problems = rig.not_started().await;
    let expect = [
        ("plugins.absent: there is no folder", ""),
        ("plugins.pinned: its component has the SHA-256", "(sha256)"),
        ("plugins.refuses: init refused: it never starts", ""),
        (
            "plugins.wants-kv: it imports portcullis:plugin/kv, which is not granted",
            "",
        ),
        ("plugins.skips: on-error = \"skip\"", "allow-fail-open"),
        ("plugins.typo: ", "unknown field `hook`"),
        (
            "plugins.strict: plugins.strict.config.rulez: is not known here",
            "",
        ),
        (
            "plugins.lies: case \"denies\": expected {\"decision\":\"deny\"}, got {\"decision\":\"pass\"}",
            "",
        ),
        (
            "plugins.impostor: the component says that it is impostor 1.0.0",
            "1.0.1",
        ),
        ("plugins.garbage: ", ""),
    ];
    assert_eq!(problems.len(), expect.len(), "{problems:#?}");
    for (problem, (beginning, inside)) in problems.iter().zip(expect) {
        assert!(
            problem.starts_with(beginning) && problem.contains(inside),
            "{problem}"
        );
    }
    assert!(rig.plugins.current().is_empty());
}

#[tokio::test]
async fn without_a_signature_that_is_wanted_nothing_is_even_parsed() {
    let rig = Rig::new();
    let (secret, stranger) = (
        SecretKey::generate().expect("random"),
        SecretKey::generate().expect("random"),
    );
    rig.change(|orders| {
        orders.host.require_signature = true;
        let public = secret.public().to_string();
        let public = public.strip_prefix("ed25519:").expect("how keys are written");
        orders.host.trusted_keys.push(public.to_owned());
    });
    rig.name("guard", |_| {});
    let folder = rig.dir.join("guard");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("plugin.toml"), "no manifest").expect("written");
    fs::write(folder.join("plugin.wasm"), "no component").expect("written");
    assert!(rig.not_started().await[0].contains("it is not signed"));
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    let sign = |key: &SecretKey| {
        let read = |name: &str| fs::read(folder.join(name)).expect("it is there");
        let signature = key.sign(&read("plugin.toml"), &read("plugin.wasm"));
        fs::write(folder.join("plugin.sig"), signature.to_text()).expect("written");
    };
    sign(&stranger);
    assert!(rig.not_started().await[0].contains("not trusted"));
    sign(&secret);
    let roster = rig.started().await;
    assert_eq!(roster.records()[0]["signer"], secret.public().to_string());
    // Another manifest, though a harmless one, is not what was signed.
    let manifest = fs::read_to_string(folder.join("plugin.toml")).expect("it is there");
    fs::write(folder.join("plugin.toml"), manifest + "\n").expect("written");
    assert!(refused(roster.reload().await)[0].contains("does not fit"));
    assert_eq!(shown(&roster), ["guard active 1.0.0", "guard failed -"]);
}

#[tokio::test]
async fn a_bad_candidate_changes_nothing_but_its_status() {
    let rig = Rig::new();
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    let set = rig.plugins.current();
    let mut bad = Trial::new("guard", "1.1.0");
    bad.refuses = true;
    bad.drop_into(&rig.dir);
    let problems = refused(roster.reload().await);
    assert_eq!(problems, ["plugins.guard: init refused: it never starts"]);
    assert_eq!(shown(&roster), ["guard active 1.0.0", "guard failed -"]);
    assert_eq!(roster.records()[1]["error"], "init refused: it never starts");
    assert!(Arc::ptr_eq(&rig.plugins.current(), &set));
    // What is removed is no open door, either.
    fs::remove_dir_all(rig.dir.join("guard")).expect("ours");
    assert!(refused(roster.reload().await)[0].contains("there is no folder"));
    assert!(Arc::ptr_eq(&rig.plugins.current(), &set));
    // The same bytes again are the same generation.
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    roster.reload().await.expect("all is well again");
    assert_eq!(shown(&roster), ["guard active 1.0.0"]);
    assert!(Arc::ptr_eq(&rig.plugins.current(), &set));
    drop(set);
    Trial::new("guard", "1.2.0").drop_into(&rig.dir);
    roster.reload().await.expect("a good one");
    assert_eq!(shown(&roster), ["guard active 1.2.0"]);
}

#[tokio::test]
async fn a_new_plugin_that_is_not_let_in_leaves_the_whole_set_as_it_was() {
    let rig = Rig::new();
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    let set = rig.plugins.current();
    Trial::new("guard", "2.0.0").drop_into(&rig.dir);
    rig.name("second", |_| {});
    assert!(refused(roster.reload().await)[0].starts_with("plugins.second: there is no folder"));
    assert!(Arc::ptr_eq(&rig.plugins.current(), &set));
    assert_eq!(shown(&roster), ["guard active 1.0.0", "second failed -"]);
    assert_eq!(roster.problems().len(), 1);
    // What is right by now is no longer called wrong, although it still waits for another.
    rig.name("third", |_| {});
    Trial::new("second", "1.0.0").drop_into(&rig.dir);
    assert!(refused(roster.reload().await)[0].starts_with("plugins.third: there is no folder"));
    assert_eq!(shown(&roster), ["guard active 1.0.0", "third failed -"]);
    rig.change(|orders| orders.plugins.retain(|spec| spec.name != "third"));
    roster.reload().await.expect("now all are there");
    drop(set);
    assert_eq!(shown(&roster), ["guard active 2.0.0", "second active 1.0.0"]);
    assert!(roster.problems().is_empty());
}

#[tokio::test]
async fn a_mode_that_nobody_guards_is_refused() {
    let rig = Rig::new();
    rig.modes(json!({ "chat": {}, "code": {} }));
    let problems = rig.not_started().await;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("modes.chat: no plugin that judges decides on access"));
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    rig.name("guard", |spec| spec.modes = Some(vec!["chat".to_owned()]));
    let problems = rig.not_started().await;
    assert!(
        problems.len() == 1 && problems[0].starts_with("modes.code:"),
        "{problems:?}"
    );
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    // Nor can it be taken away later.
    rig.change(|orders| orders.plugins.clear());
    assert_eq!(refused(roster.reload().await).len(), 2);
    assert_eq!(rig.plugins.current().plugins().len(), 1);
}

#[tokio::test]
async fn another_configuration_is_another_generation_of_the_same_code() {
    let rig = Rig::new();
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    let code = |roster: &Roster| {
        let book = roster.book();
        let live = book.entries["guard"].live.as_ref().expect("it judges");
        live.component.image_range()
    };
    let (first, compiled) = (generation(&roster, "guard"), code(&roster));
    roster.reload().await.expect("nothing has changed");
    assert_eq!(generation(&roster, "guard"), first);
    rig.name("guard", |spec| {
        spec.config = ExpandedJson::literal(json!({ "a": 1 }))
    });
    roster.reload().await.expect("another configuration");
    assert!(generation(&roster, "guard") > first);
    assert_eq!(code(&roster), compiled);
    // An order makes another generation also where nothing has changed.
    let second = generation(&roster, "guard");
    roster.reload_one("guard").await.expect("ordered");
    assert!(generation(&roster, "guard") > second);
    assert_eq!(
        roster.reload_one("nobody").await,
        Err(RosterError::Unknown("nobody".to_owned()))
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_changes_nothing() {
    let rig = Rig::new();
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    *rig.orders.lock().expect("no holder panics") = Err("line 1: no".to_owned());
    assert_eq!(refused(roster.reload().await), ["line 1: no"]);
    assert_eq!(roster.problems(), ["line 1: no"]);
    assert_eq!(shown(&roster), ["guard active 1.0.0"]);
}

#[tokio::test]
async fn a_folder_without_plugins_starts_no_engine() {
    let rig = Rig::new();
    fs::create_dir(rig.dir.join("sources")).expect("a folder");
    fs::write(rig.dir.join("sources/plugin.toml"), "not built yet").expect("written");
    let roster = rig.started().await;
    roster.reload().await.expect("nothing is wrong");
    assert!(!roster.has_engine() && roster.records().is_empty());
}

#[tokio::test]
async fn what_is_dropped_and_changed_is_noticed() {
    let rig = Rig::new();
    Trial::new("guard", "1.0.0").drop_into(&rig.dir);
    rig.name("guard", |_| {});
    let roster = rig.started().await;
    let mut rounds = roster.rounds();
    let stop = CancellationToken::new();
    let watched = Watched {
        dir: rig.dir.clone(),
        file: None,
    };
    let attending = tokio::spawn(roster.clone().attend(Some(watched), stop.clone()));
    let mut until = async |expect: &[&str]| {
        let seen = async {
            while shown(&roster) != expect {
                rounds.changed().await.expect("the roster is there");
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
        assert!(seen.is_ok(), "{:?}", shown(&roster));
    };
    Trial::new("late", "1.0.0").drop_into(&rig.dir);
    until(&["guard active 1.0.0", "late idle 1.0.0"]).await;
    Trial::new("guard", "1.1.0").drop_into(&rig.dir);
    until(&["guard active 1.1.0", "late idle 1.0.0"]).await;
    fs::write(rig.dir.join("late/plugin.wasm"), "cut short").expect("written");
    until(&["guard active 1.1.0", "late idle 1.0.0", "late failed -"]).await;
    fs::remove_dir_all(rig.dir.join("late")).expect("ours");
    until(&["guard active 1.1.0"]).await;
    stop.cancel();
    attending.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_sets_are_replaced_and_each_sees_one_set() {
    let rig = Rig::new();
    let write = |version: &str| {
        Trial::new("first", version).drop_into(&rig.dir);
        Trial::new("second", version).drop_into(&rig.dir);
    };
    write("0");
    for name in ["first", "second"] {
        rig.name(name, |spec| spec.limits.timeout = Duration::from_secs(30));
    }
    let roster = rig.started().await;
    let plugins = rig.plugins.clone();
    let done = CancellationToken::new();
    let calls = tokio::spawn({
        let done = done.clone();
        async move {
            let mut seen = BTreeSet::new();
            let mut count = 0;
            while count < 10_000 || !done.is_cancelled() {
                let set = plugins.current();
                let mut ctx = ctx();
                let passed = set
                    .on_message(&mut ctx, &matter(), SCAN, |_| Aim::default())
                    .await
                    .expect("it passes");
                let versions: Vec<&str> = passed.notes.iter().map(|(_, version)| &**version).collect();
                // Two plugins, one version: no message is judged by half of one set and half of another.
                assert!(
                    versions.len() == 2 && versions[0] == versions[1],
                    "{:?}",
                    passed.notes
                );
                let said: Vec<&str> = set.plugins().iter().map(|plugin| plugin.version()).collect();
                assert_eq!(said, versions);
                seen.insert(versions[0].to_owned());
                count += 1;
            }
            (count, seen)
        }
    });
    for version in 1..=20 {
        write(&version.to_string());
        roster.reload().await.expect("a good one");
    }
    done.cancel();
    let (count, seen) = calls.await.expect("no call failed");
    assert!(count >= 10_000 && seen.len() > 2, "{count} {seen:?}");
    assert_eq!(
        shown(&roster),
        ["first active 20", "second active 20"],
        "no set is left behind"
    );
}
