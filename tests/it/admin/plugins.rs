//! Plugins of a running gateway: listed, reloaded, followed, and never half in place.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::commands::run;
use super::operator::Operator;
use crate::support::Gateway;
use crate::trial::Trial;

/// A folder for plugins; it goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-plugins-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    /// Returns a configuration that does not watch it, and names a plugin.
    fn configuration(&self) -> String {
        let dir = self.0.display().to_string();
        format!("[plugin-host]\ndir = {dir:?}\nwatch = false\n[[plugins]]\nname = \"guard\"\n")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shown(answer: &Value) -> Vec<Value> {
    let plugins = answer["plugins"].as_array().expect("a list").iter();
    let plugin = |plugin: &Value| json!([plugin["name"], plugin["state"], plugin["version"]]);
    plugins.map(plugin).collect()
}

fn active(answer: &Value) -> Vec<Value> {
    let mut shown = shown(answer);
    shown.retain(|plugin| plugin[1] == "active");
    shown
}

fn threads(gateway: &Gateway) -> Vec<String> {
    let tasks = PathBuf::from(format!("/proc/{}/task", gateway.process().pid()));
    let entries = tasks.read_dir().expect("it runs");
    let names = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test]
async fn plugins_are_listed_and_reloaded() {
    let folder = Folder::new();
    Trial::new("guard", "1.0.0").drop_into(&folder.0);
    let gateway = Gateway::start(&folder.configuration());
    let operator = Operator::of(&gateway).await;
    let answer = operator.get("/plugins").await;
    assert_eq!(shown(&answer), [json!(["guard", "active", "1.0.0"])]);

    Trial::new("guard", "1.1.0").drop_into(&folder.0);
    Trial::new("other", "1.0.0").drop_into(&folder.0);
    let (status, answer) = operator.request(Method::POST, "/plugins/reload", None).await;
    assert_eq!(status, StatusCode::OK);
    let expect = [
        json!(["guard", "active", "1.1.0"]),
        json!(["other", "idle", "1.0.0"]),
    ];
    assert_eq!(shown(&answer), expect);

    let generation = answer["plugins"][0]["generation"].as_u64().expect("a number");
    let (_, answer) = operator
        .request(Method::POST, "/plugins/guard/reload", None)
        .await;
    assert!(
        answer["plugins"][0]["generation"].as_u64() > Some(generation),
        "{answer}"
    );

    let mut bad = Trial::new("guard", "1.2.0");
    bad.refuses = true;
    bad.drop_into(&folder.0);
    for path in ["/plugins/reload", "/plugins/guard/reload"] {
        let refused = operator.refused(Method::POST, path, None).await;
        assert_eq!(refused, (422, "plugin_refused".to_owned()), "{path}");
    }
    let refused = operator
        .refused(Method::POST, "/plugins/nobody/reload", None)
        .await;
    assert_eq!(refused, (404, "plugin_not_found".to_owned()));
    let answer = operator.get("/plugins").await;
    let expect = [
        json!(["guard", "active", "1.1.0"]),
        json!(["guard", "failed", null]),
        json!(["other", "idle", "1.0.0"]),
    ];
    assert_eq!(shown(&answer), expect);

    let (code, table, _) = run(&gateway, &["plugin", "list"]).await;
    assert!(
        code == 0 && table.contains("guard was not let in: init refused: it never starts"),
        "{table}"
    );
    let (code, _, complaint) = run(&gateway, &["plugin", "reload", "guard"]).await;
    assert!(code == 1 && complaint.contains("plugin_refused"), "{complaint}");
    let (code, table, _) = run(&gateway, &["plugin", "reload", "other"]).await;
    assert!(code == 0 && table.contains("other  1.0.0"), "{table}");
    let (code, _, complaint) = run(&gateway, &["plugin", "reload", "../servers"]).await;
    assert!(
        code == 1 && complaint.contains("no name of a plugin"),
        "{complaint}"
    );
}

#[tokio::test]
async fn what_happens_to_plugins_is_told() {
    let folder = Folder::new();
    Trial::new("guard", "1.0.0").drop_into(&folder.0);
    let gateway = Gateway::start(&folder.configuration());
    let operator = Operator::of(&gateway).await;
    let schema = json!({ "$ref": "#/components/schemas/Event" });
    let reload = async || operator.request(Method::POST, "/plugins/reload", None).await;
    let (mut events, _connection) = operator.events("/events", Some(0)).await;
    let mut next = async || loop {
        let event = crate::support::within("an event", events.next())
            .await
            .expect("it goes on");
        if event.data.is_empty() {
            continue;
        }
        let event = event.json();
        operator.validate(&schema, &event);
        let data = &event["data"];
        break json!([event["type"], event["plugin"], data["status"], data["version"]]);
    };
    assert_eq!(next().await, json!(["plugin.loaded", "guard", "active", "1.0.0"]));
    Trial::new("other", "2.0.0").drop_into(&folder.0);
    reload().await;
    assert_eq!(next().await, json!(["plugin.loaded", "other", "idle", "2.0.0"]));
    let mut bad = Trial::new("guard", "1.1.0");
    bad.refuses = true;
    bad.drop_into(&folder.0);
    reload().await;
    reload().await;
    assert_eq!(next().await, json!(["plugin.failed", "guard", null, null]));
    Trial::new("guard", "1.2.0").drop_into(&folder.0);
    reload().await;
    assert_eq!(next().await, json!(["plugin.loaded", "guard", "active", "1.2.0"]));
    let file = gateway.directory().join("portcullis.toml");
    let text = fs::read_to_string(&file).expect("the directory is ours");
    let dropped = text.replace("[plugin-host]\n", "[plugin-host]\nactivate = \"dropped\"\n");
    fs::write(&file, dropped).expect("the directory is ours");
    reload().await;
    assert_eq!(
        next().await,
        json!(["plugin.status.changed", "other", "active", null])
    );
    fs::remove_dir_all(folder.0.join("other")).expect("it is there");
    reload().await;
    assert_eq!(next().await, json!(["plugin.removed", "other", null, null]));
}

#[tokio::test]
async fn a_changed_configuration_is_followed() {
    let folder = Folder::new();
    Trial::new("guard", "1.0.0").drop_into(&folder.0);
    Trial::new("other", "1.0.0").drop_into(&folder.0);
    let gateway = Gateway::start(&folder.configuration());
    let operator = Operator::of(&gateway).await;
    let file = gateway.directory().join("portcullis.toml");
    let text = fs::read_to_string(&file).expect("the directory is ours");
    let reload = async || operator.request(Method::POST, "/plugins/reload", None).await;

    fs::write(&file, format!("{text}[[plugins]]\nname = \"other\"\n")).expect("the directory is ours");
    let (_, answer) = reload().await;
    let both = [
        json!(["guard", "active", "1.0.0"]),
        json!(["other", "active", "1.0.0"]),
    ];
    assert_eq!(shown(&answer), both);

    for (more, problem) in [
        ("[[plugins]]\nnam = \"x\"\n", "the configuration is not valid"),
        (
            "[[plugins]]\nname = \"absent\"\n",
            "plugins.absent: there is no folder",
        ),
    ] {
        fs::write(&file, format!("{text}{more}")).expect("the directory is ours");
        let (status, answer) = reload().await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 422 && message.starts_with(problem), "{answer}");
        let answer = operator.get("/plugins").await;
        assert_eq!(active(&answer), both, "the set is as it was");
        assert_eq!(answer["problems"].as_array().map(Vec::len), Some(1), "{answer}");
    }
    // A configuration that is gone is not one without policies.
    fs::remove_file(&file).expect("the directory is ours");
    assert_eq!(reload().await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(active(&operator.get("/plugins").await), both);
}

#[tokio::test]
async fn a_gateway_without_plugins_has_no_engine() {
    let gateway = Gateway::start("");
    let answer = Operator::of(&gateway).await.get("/plugins").await;
    assert_eq!(answer, json!({ "plugins": [], "problems": [] }));
    assert!(
        !threads(&gateway).contains(&"plugin-ticker".to_owned()),
        "{:?}",
        threads(&gateway)
    );

    let folder = Folder::new();
    Trial::new("guard", "1.0.0").drop_into(&folder.0);
    let gateway = Gateway::start(&folder.configuration());
    assert!(
        threads(&gateway).contains(&"plugin-ticker".to_owned()),
        "{:?}",
        threads(&gateway)
    );
}

#[test]
fn a_gateway_whose_plugins_are_not_let_in_does_not_start_and_says_why() {
    let folder = Folder::new();
    let mut guard = Trial::new("guard", "1.0.0");
    guard.imports_kv = true;
    guard.drop_into(&folder.0);
    let file = folder.0.join("portcullis.toml");
    let state = folder.0.join("state").display().to_string();
    let modes = "[modes.chat]\nallowed-servers = []\n";
    fs::write(
        &file,
        format!("state-dir = {state:?}\n{}{modes}", folder.configuration()),
    )
    .expect("ours");
    let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .env("XDG_CACHE_HOME", folder.0.join("cache"))
        .stdin(Stdio::null())
        .output()
        .expect("it has been built");
    let complaint = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for line in [
        "plugins.guard: it imports portcullis:plugin/kv, which is not granted",
        "modes.chat: no plugin that judges decides on access",
    ] {
        assert!(complaint.contains(line), "{complaint}");
    }
}
