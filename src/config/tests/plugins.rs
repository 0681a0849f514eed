//! Plugins in a configuration: their order, their limits, their grants, the texts in their configuration.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::*;
use super::{Directory, load};
use crate::config::keys::Absent;
use crate::config::kind::Kind;
use crate::config::plugin_keys::PLUGIN;

const FULL: &str = r#"
[plugin-host]
dir = "policies"
activate = "dropped"
requireSignature = true
trusted-keys = ["ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
watch = false
[modes.chat]
[[plugins]]
name = "zeta"
[[plugins]]
name = "alpha"
onError = "skip"
allow-fail-open = true
isolation = "fresh"
modes = ["chat"]
sha256 = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
timeout = "5ms"
init-timeout = "1s"
memory-max = "1MiB"
memory-keep = "512KiB"
instances-max = 2
calls-max = 3
body-copy-max = "4KiB"
output-max = "5KiB"
notes-max = 6
host-calls-max = 7
log-rate = 8
grant = { kv = { maxKib = 64 }, http = { hosts = ["a:443"], private-addresses = true }, random = true, schema = true, headers = ["X-Tenant"] }
[plugins.config]
Some_Key = "${KEY}"
list = [{ deep = "x${KEY}" }, 5, true]
"#;

#[test]
fn everything_that_can_be_said_of_a_plugin() {
    let loaded = load("a.toml", FULL, &[("KEY", "hunter2")]).expect("valid");
    let names: Vec<&str> = loaded
        .config
        .plugins
        .iter()
        .map(|plugin| plugin.name.as_str())
        .collect();
    assert_eq!(names, ["zeta", "alpha"], "the order of the file");
    assert_eq!(*loaded.config.plugins[0], PluginSpec::unnamed("zeta"));
    let alpha = &loaded.config.plugins[1];
    let expect = PluginSpec {
        name: "alpha".to_owned(),
        modes: Some(vec!["chat".to_owned()]),
        sha256: Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned()),
        grant: Grants {
            kv: Some(64 << 10),
            http: Some(HttpGrant {
                hosts: vec!["a:443".to_owned()],
                private_addresses: true,
            }),
            random: true,
            schema: true,
            headers: BTreeSet::from(["x-tenant".to_owned()]),
        },
        on_error: OnError::Skip,
        allow_fail_open: true,
        limits: PluginLimits {
            timeout: Duration::from_millis(5),
            init_timeout: Duration::from_secs(1),
            memory_max: 1 << 20,
            memory_keep: 512 << 10,
            instances_max: 2,
            calls_max: 3,
            body_copy_max: 4 << 10,
            output_max: 5 << 10,
            notes_max: 6,
            host_calls_max: 7,
            log_rate: 8,
        },
        isolation: Isolation::Fresh,
        config: alpha.config.clone(),
    };
    assert_eq!(**alpha, expect);
    let shown = json!({"Some_Key": "${KEY}", "list": [{"deep": "x${KEY}"}, 5, true]});
    let filled = json!({"Some_Key": "hunter2", "list": [{"deep": "xhunter2"}, 5, true]});
    assert_eq!((alpha.config.template(), alpha.config.value()), (&shown, &filled));
    let everything = format!("{loaded:?} {}", loaded.origins);
    assert!(!everything.contains("hunter2"), "{everything}");
}

#[test]
fn what_holds_for_all_plugins() {
    let directory = Directory::with(&[("sub/a.toml", FULL)]);
    let loader = Loader {
        file: Some(Path::new("sub/a.toml").to_owned()),
        ..directory.loader(&[("KEY", "k")])
    };
    let host = loader.load().expect("valid").config.plugin_host;
    let expect = PluginHostConfig {
        dir: directory.path("sub/policies"),
        activate: Activate::Dropped,
        require_signature: true,
        trusted_keys: vec!["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()],
        watch: false,
    };
    assert_eq!(host, expect, "as seen from the file");
}

#[test]
fn the_documented_limits_are_those_that_hold() {
    let said: Vec<String> = PLUGIN
        .iter()
        .filter_map(|key| match (key.kind, key.absent) {
            (Kind::Count(..), Absent::Means(value)) => Some(format!("{} = {value}\n", key.name)),
            (Kind::Duration(..) | Kind::Size(..) | Kind::Choice(_), Absent::Means(value)) => {
                Some(format!("{} = '{value}'\n", key.name))
            }
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 13, "{said:?}");
    let text = format!("[plugins.a]\n{}", said.concat());
    let config = load("a.toml", &text, &[]).expect("valid").config;
    assert_eq!(*config.plugins[0], PluginSpec::unnamed("a"));
}

#[test]
fn the_default_file_shows_every_key_of_a_plugin() {
    let defaults = layers::DEFAULTS;
    let missing: Vec<&str> = PLUGIN
        .iter()
        .map(|key| key.name)
        .filter(|name| !defaults.contains(&format!("\n# {name} = ")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn later_layers_change_a_plugin_and_not_its_place() {
    let text =
        "[[plugins]]\nname = 'b'\nlog-rate = 1\nconfig = { x = 1, y = 2 }\n[[plugins]]\nname = 'a-b'\n";
    let variables = [
        ("PORTCULLIS__PLUGINS__A_B__GRANT__KV__MAX_KIB", "3"),
        ("PORTCULLIS__PLUGINS__B__TIMEOUT", "7ms"),
        ("PORTCULLIS__PLUGINS__B__CONFIG", r#"{"y": "${HOME}"}"#),
        ("PORTCULLIS__PLUGINS__AAA__LOG_RATE", "2"),
    ];
    let config = load("a.toml", text, &variables).expect("valid").config;
    let names: Vec<&str> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!(names, ["b", "a-b", "aaa"]);
    let [b, a_b, _] = config.plugins.as_slice() else {
        unreachable!("three names")
    };
    assert_eq!(
        (b.limits.log_rate, b.limits.timeout),
        (1, Duration::from_millis(7))
    );
    assert_eq!(
        b.config.value(),
        &json!({"x": 1, "y": "${HOME}"}),
        "not expanded again"
    );
    assert_eq!(
        b.config.template(),
        &json!({"x": 1, "y": "${PORTCULLIS__PLUGINS__B__CONFIG}"})
    );
    assert_eq!(a_b.grant.kv, Some(3 << 10));
}

#[test]
fn violations() {
    super::violations::check(
        r#"
        [plugin-host]
        trusted-keys = ["ed25519:AAA="]
        activate = "all"
        [[plugins]]
        name = "Guard"
        [[plugins]]
        name = "guard"
        timeout = "2m"
        sha256 = "abc"
        modes = ["chta"]
        memry-max = 1
        grant = { kv = { max = 1 }, http = { private-addresses = 1 }, rand = true, headers = ["a b"] }
        config = { key = "${NOT_SET}", list = ["${}"] }
        [[plugins]]
        name = "other"
        grant = true
        config = "x"
        [modes.chat]
        "#,
        &[
            "plugin-host.activate: expected \"named\" or \"dropped\", found \"all\"",
            "plugin-host.trusted-keys: \"ed25519:AAA=\" is not a public key: write \"ed25519:\" and its 32 bytes as base64",
            "plugins.Guard: a plugin's name is that of its folder: 1 to 64 of `a-z`, `0-9` and `-`; rename it",
            "plugins.guard.grant.headers: \"a b\" is not the name of a header",
            "plugins.guard.grant.http.private-addresses: expected `true` or `false`, found 1",
            "plugins.guard.grant.http.hosts: is missing. Hosts that it may reach: `host` or `host:port`.",
            "plugins.guard.grant.kv.max: unknown key; remove it",
            "plugins.guard.grant.kv.max-kib: is missing. Most KiB of keys and values.",
            "plugins.guard.grant.rand: unknown key; did you mean `random`?",
            "plugins.guard.memry-max: unknown key; did you mean `memory-max`?",
            "plugins.guard.sha256: is not a SHA-256: write the 64 hexadecimal digits that `sha256sum plugin.wasm` prints",
            "plugins.guard.timeout: expected a time such as \"10s\", from 1ms to 1m, found \"2m\"",
            "plugins.guard.modes[0]: there is no mode `chta`; did you mean `chat`?",
            "plugins.guard.config.key: variable `NOT_SET` is not set: set it, or give a default with `${NOT_SET:-...}`",
            "plugins.guard.config.list[0]: `${...}` holds a variable name, or a name and a default as in `${NAME:-default}`; write `$$` for a dollar sign",
            "plugins.other.config: expected a table, found text",
            "plugins.other.grant: expected a table, found something else",
        ],
    );
}
