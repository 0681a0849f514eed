//! The set of plugins is replaced again and again under full load: no request fails, is lost or is judged twice, and one
//! generation alone judges each.
//!
//! Two plugins stamp each request and each answer with their version. A client sees in what comes back who has judged it,
//! how often, and whether both plugins were of the same set; the counters of all generations together have to say the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::*;
use crate::trial::Trial;

/// Six seconds; the soak does five times as many.
const SWAPS: usize = 60;
const PACE: Duration = Duration::from_millis(100);
const CLIENTS: usize = 16;
const PLUGINS: [&str; 2] = ["first", "second"];

/// A folder of plugins; it goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-swap-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    /// Replaces both plugins by their next version, as an author would.
    fn release(&self, number: usize) {
        for name in PLUGINS {
            let mut trial = Trial::new(name, &version(number));
            "tools/call".clone_into(&mut trial.methods);
            let stamp = format!("{name} {}", trial.version);
            trial.changes = [
                ("request", "/params/arguments/stamps/-", json!(stamp)),
                (
                    "response",
                    "/result/content/-",
                    json!({ "type": "text", "text": stamp }),
                ),
            ]
            .map(|(kind, pointer, value)| [kind.to_owned(), pointer.to_owned(), value.to_string()])
            .into();
            trial.drop_into(&self.0);
        }
    }

    fn configuration(&self) -> String {
        let dir = self.0.display().to_string();
        let [first, second] = PLUGINS;
        format!(
            "[plugin-host]\ndir = {dir:?}\nwatch = false\n[[plugins]]\nname = {first:?}\n[[plugins]]\nname = {second:?}\n\
             [servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nsharing = \"shared\"\n"
        )
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn version(number: usize) -> String {
    format!("{number}.0.0")
}

/// Which releases may judge a request now.
#[derive(Default)]
struct Releases {
    /// The one in place: whoever asks from now on gets this one or a later one.
    oldest: AtomicUsize,
    /// The one that is being put in place.
    newest: AtomicUsize,
    is_over: AtomicBool,
}

/// How many requests each release has judged.
type Tally = BTreeMap<usize, u64>;

#[tokio::test(flavor = "multi_thread")]
async fn while_plugins_are_swapped_each_request_is_judged_once_and_by_one_generation() {
    let _turn = alone().await;
    let folder = Folder::new();
    folder.release(0);
    let gateway = Gateway::start(&folder.configuration());
    let releases = Arc::new(Releases::default());
    let clients = open_clients(&gateway, CLIENTS).await.into_iter().enumerate();
    let load: Vec<_> = clients
        .map(|(number, client)| ask_until_over(number, client, Arc::clone(&releases)))
        .collect();
    let start = Instant::now();
    let load = tokio::spawn(all(load));
    let swaps = scaled(SWAPS);
    swap(&gateway, &folder, &releases, swaps).await;
    releases.is_over.store(true, Ordering::SeqCst);
    let tallies = load.await.expect("no client fails");
    let seconds = start.elapsed().as_secs_f64();

    let mut tally = Tally::new();
    for (release, count) in tallies.into_iter().flatten() {
        *tally.entry(release).or_default() += count;
    }
    let requests: u64 = tally.values().sum();
    report(&format!(
        "{swaps} swaps of the plugins in {seconds:.1} s under {requests} requests of {CLIENTS} clients: none failed"
    ));
    let seen: Vec<usize> = tally.keys().copied().collect();
    let released: Vec<usize> = (0..=releases.newest.load(Ordering::SeqCst)).collect();
    assert_eq!(seen, released, "each release has judged some requests");
    // Each request once on its way there, and its answer once on its way back.
    counted(&gateway, 2 * requests).await;
    gateway.stop().await;
}

/// Calls one tool after the other and looks at who has judged; ends its session at the end.
async fn ask_until_over(number: usize, mut client: Client, releases: Arc<Releases>) -> Tally {
    let mut tally = Tally::new();
    let mut call = 0;
    while !releases.is_over.load(Ordering::SeqCst) {
        call += 1;
        let oldest = releases.oldest.load(Ordering::SeqCst);
        let id = format!("{number}.{call}");
        let message = client.call("echo", json!({ "call": id, "stamps": [] })).await;
        let release = judged_by(&message, &id);
        let newest = releases.newest.load(Ordering::SeqCst);
        assert!(
            (oldest..=newest).contains(&release),
            "judged by {release}, in place were {oldest} to {newest}"
        );
        *tally.entry(release).or_default() += 1;
    }
    client.close().await;
    tally
}

/// Returns the release that has judged a request and its answer; panics unless that was one, and each of its plugins once.
fn judged_by(message: &Value, id: &str) -> usize {
    let content = message["result"]["content"].as_array();
    let content = content.unwrap_or_else(|| panic!("{id} failed: {message}"));
    let texts: Vec<&str> = content
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    let [arguments, answer_stamps @ ..] = &texts[..] else {
        panic!("{id}: {message}");
    };
    let arguments: Value = serde_json::from_str(arguments).expect("the arguments as they came");
    let release = arguments["stamps"][0]
        .as_str()
        .and_then(|stamp| stamp.strip_prefix("first "))
        .and_then(|version| version.split('.').next()?.parse().ok());
    let release = release.unwrap_or_else(|| panic!("{id} has no stamp: {message}"));
    let stamps = PLUGINS.map(|plugin| format!("{plugin} {}", version(release)));
    assert_eq!(arguments, json!({ "call": id, "stamps": stamps }), "{message}");
    assert_eq!(answer_stamps, stamps, "{message}");
    release
}

/// Replaces the set at its pace: by another release of both plugins, then by another generation of the one and the other.
async fn swap(gateway: &Gateway, folder: &Folder, releases: &Releases, swaps: usize) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for swap in 0..swaps {
        pace.tick().await;
        let order = match swap % (1 + PLUGINS.len()) {
            0 => {
                let next = releases.newest.fetch_add(1, Ordering::SeqCst) + 1;
                folder.release(next);
                "plugins/reload".to_owned()
            }
            plugin => format!("plugins/{}/reload", PLUGINS[plugin - 1]),
        };
        assert_eq!(
            gateway.order(Method::POST, &order).await,
            StatusCode::OK,
            "{order}"
        );
        releases
            .oldest
            .store(releases.newest.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// Waits until the counters of all generations of each plugin together say that they have changed so many messages, and
/// that none of their calls failed or refused.
async fn counted(gateway: &Gateway, changes: u64) {
    let mut counted = [[0; 2]; 2];
    // A generation is added to those that are gone a moment after its last request.
    for _ in 0..1_000 {
        let answer = gateway.admin("plugins").await;
        counted = PLUGINS.map(|name| sums(&answer, name));
        if counted == [[changes, 0]; 2] {
            return;
        }
    }
    panic!("{changes} changes were seen, and {counted:?} counted");
}

/// Returns how many messages all generations of a plugin have changed, and how many of their calls failed or refused.
fn sums(answer: &Value, name: &str) -> [u64; 2] {
    let records = answer["plugins"].as_array().expect("a list").iter();
    let records = records.filter(|record| record["name"] == name);
    let hooks = records.flat_map(|record| [&record["hooks"], &record["gone"]["hooks"]]);
    let mut sums = [0; 2];
    for hooks in hooks {
        let count = |hook: &str, kind: &str| hooks[hook][kind].as_u64().unwrap_or(0);
        sums[0] += count("on-message", "changes");
        for hook in ["on-message", "access"] {
            sums[1] += count(hook, "errors") + count(hook, "denials");
        }
    }
    sums
}
