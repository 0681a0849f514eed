//! Servers that come through the running API.

use serde_json::{Value, json};

use super::super::*;
use super::load;

fn from_api(json: Value) -> Result<ServerSpec, Vec<String>> {
    let spec = ServerSpec::from_api(&json, &ServerDefaults::default());
    spec.map_err(|violations| violations.iter().map(ToString::to_string).collect())
}

fn patched(spec: &ServerSpec, patch: Value) -> Result<ServerSpec, Vec<String>> {
    let patched = spec.patched(&patch, &ServerDefaults::default());
    patched.map_err(|violations| violations.iter().map(ToString::to_string).collect())
}

#[test]
fn nothing_expands() {
    let spec = from_api(
        json!({"name": "a", "command": "${HOME}", "args": ["$$", "${X:-y}"], "env": {"A": "${PATH}"}}),
    );
    let spec = spec.expect("valid");
    assert_eq!(
        (spec.command.value(), spec.args[0].value(), spec.args[1].value()),
        ("${HOME}", "$$", "${X:-y}")
    );
    assert_eq!(spec.env["A"].value(), "${PATH}");
}

#[test]
fn what_is_shown_can_be_registered_again() {
    let spec = from_api(json!({
        "name": "a", "command": "x", "args": ["1"], "env": {"A": "${B}"}, "displayName": "A", "ping_interval": 5,
        "idle-timeout": "never", "lineMax": 1_000_000, "requestTimeout": "90s", "autostart": true, "cwd": "/",
    }));
    let spec = spec.expect("valid");
    let again = from_api(spec.shown()).expect("valid");
    assert_eq!(again.shown(), spec.shown());
    assert_eq!((again.idle_timeout, again.line_max), (None, 1_000_000));
}

#[test]
fn a_registration_has_a_name() {
    let name = |body: Value| from_api(body).map(|spec| spec.name.to_string());
    let refused = |message: &str| Err(vec![format!("request: name: {message}")]);
    assert_eq!(name(json!({"name": "b", "command": "x"})), Ok("b".to_owned()));
    assert_eq!(
        name(json!({"command": "x"})),
        refused("is missing: a server needs a name")
    );
    assert_eq!(name(json!({"name": 5, "command": "x"})), refused("expected text"));
    assert_eq!(
        name(json!({"name": "a b", "command": "x"})),
        refused("a name is made of letters, digits, `.`, `_` and `-`; ' ' is none of them")
    );
}

#[test]
fn everything_wrong_is_said_at_once() {
    assert_eq!(
        from_api(json!({"url": "ftp://x", "instances": 9, "requestTimeout": "11m", "sharing": "all", "colour": 1, "env": {"A": 1}})),
        Err(vec![
            "request: name: is missing: a server needs a name".to_owned(),
            "request: colour: unknown key; remove it".to_owned(),
            "request: env.A: expected text (in quotes), found something else".to_owned(),
            "request: sharing: expected \"auto\" or \"shared\" or \"principal\" or \"session\", found \"all\"".to_owned(),
            "request: instances: is above `instances-max`: lower it, or raise `instances-max`".to_owned(),
            "request: request-timeout: is above `requests.timeout-max`: lower it, or raise `requests.timeout-max`".to_owned(),
            "request: env: belongs to a server that is started, and this one has a `url`: remove one of the two".to_owned(),
            "request: url: must begin with https://, http://, wss:// or ws://".to_owned(),
        ])
    );
    for body in [json!(null), json!([]), json!("x")] {
        let lines = from_api(body).expect_err("not an object");
        assert_eq!(
            lines[0],
            "request: expected a JSON object that describes a server"
        );
    }
}

#[test]
fn the_defaults_of_the_configuration_hold_for_the_api_too() {
    let config = load(
        "a.toml",
        "[server-defaults]\nlinger = '1s'\nidle-timeout = '3s'",
        &[],
    )
    .expect("valid")
    .config;
    let body = json!({"name": "a", "command": "x", "autostart": true});
    let spec = ServerSpec::from_api(&body, &config.server_defaults).expect("valid");
    assert_eq!(
        (
            spec.linger.as_secs(),
            spec.idle_timeout.map(|time| time.as_secs())
        ),
        (1, Some(3))
    );
}

#[test]
fn a_patch_changes_what_it_names_and_null_restores_the_default() {
    let spec = from_api(
        json!({"name": "a", "command": "x", "linger": "1s", "displayName": "A", "env": {"A": "1", "B": "2"}}),
    );
    let spec = spec.expect("valid");
    let changed = patched(
        &spec,
        json!({"linger": null, "stopGrace": "2s", "env": {"A": null, "C": "3"}, "disabled": true}),
    );
    let expect = from_api(
        json!({"name": "a", "command": "x", "displayName": "A", "stopGrace": "2s", "env": {"B": "2", "C": "3"}, "enabled": false}),
    );
    assert_eq!(changed.map(|spec| spec.shown()), expect.map(|spec| spec.shown()));
    assert_eq!(patched(&spec, json!({})), Ok(spec.clone()));
    assert_eq!(patched(&spec, json!({"name": "a"})), Ok(spec.clone()));
    assert_eq!(
        patched(&spec, json!({"name": "b", "command": null, "linger": "x"})),
        Err(vec![
            "request: name: cannot change: register a new server, then remove this one".to_owned(),
            "request: linger: expected a time such as \"10s\", from 0s to 365d, found \"x\"".to_owned(),
            "request: command: is missing: give the program that is the server, or the `url` of a remote one"
                .to_owned(),
        ])
    );
    assert!(patched(&spec, json!([])).is_err());
}

#[test]
fn what_a_process_runs_with_is_told_from_what_describes_it() {
    let spec = from_api(json!({"name": "a", "command": "x", "env": {"A": "1"}})).expect("valid");
    let check = |patch: Value, invokes, runs| {
        let changed = patched(&spec, patch.clone()).expect("valid");
        assert_eq!(
            (spec.invokes_the_same(&changed), spec.runs_the_same(&changed)),
            (invokes, runs),
            "{patch}"
        );
    };
    check(
        json!({"displayName": "A", "version": "1", "path": "b", "enabled": false}),
        true,
        true,
    );
    check(
        json!({"validateArguments": "enforce", "requestTimeout": "5s"}),
        true,
        true,
    );
    check(json!({"linger": "1s"}), true, false);
    check(json!({"autostart": true}), true, false);
    for patch in [
        json!({"command": "y"}),
        json!({"args": ["1"]}),
        json!({"env": {"A": null}}),
        json!({"cwd": "/"}),
        json!({"inheritEnv": ["*"]}),
    ] {
        check(patch, false, false);
    }
    assert_eq!(spec.with_enabled(true), spec);
    let disabled = patched(&spec, json!({"enabled": false})).expect("valid");
    assert_eq!(spec.with_enabled(false), disabled);
}

#[test]
fn texts_are_redacted() {
    let text = "[servers.a]\ncommand = '${BIN}'\nargs = ['${N}', '${KEY}', '${KEY}.${KEY}']\n";
    let variables = [("BIN", "/bin/a\"b"), ("KEY", "hunter2"), ("N", "1")];
    let config = load("a.toml", text, &variables).expect("valid").config;
    let redacted = |text: &str| config.servers["a"].redacted(text);
    assert_eq!(
        redacted("program \"/bin/a\\\"b\" and /bin/a\"b"),
        "program \"${BIN}\" and ${BIN}"
    );
    assert_eq!(redacted("1 hunter2.hunter2 hunter2!"), "1 ${KEY}.${KEY} ${KEY}!");
}

#[test]
fn a_patch_keeps_variables_it_does_not_touch_and_expands_none() {
    let text = "[servers.a]\ncommand = '${BIN}'\nargs = ['--key=${KEY}', 'b']\nenv = { KEY = '${KEY}', LITERAL = '$$1' }\nlinger = '1s'\n";
    let config = load("a.toml", text, &[("BIN", "/bin/x"), ("KEY", "hunter2")])
        .expect("valid")
        .config;
    let spec = &config.servers["a"];
    let patch = json!({"args": ["b", "--key=${KEY}", "${BIN}"], "env": {"KEY": "${KEY}", "OTHER": "${KEY}"}});
    let changed = spec.patched(&patch, &config.server_defaults).expect("valid");
    assert_eq!(changed.command.value(), "/bin/x");
    assert_eq!(
        changed.args.iter().map(Expanded::value).collect::<Vec<_>>(),
        ["b", "--key=hunter2", "${BIN}"]
    );
    let env: Vec<_> = changed
        .env
        .iter()
        .map(|(name, text)| (name.as_str(), text.value()))
        .collect();
    assert_eq!(env, [("KEY", "hunter2"), ("LITERAL", "$1"), ("OTHER", "${KEY}")]);
    assert_eq!(changed.linger.as_secs(), 1);
    assert!(!format!("{changed:?} {}", changed.shown()).contains("hunter2"));
    let unchanged = spec
        .patched(&spec.shown(), &config.server_defaults)
        .expect("valid");
    assert_eq!(unchanged.env, spec.env);
    assert_eq!(unchanged.command.value(), "/bin/x");
}

#[test]
fn values_of_the_environment_are_hidden_and_what_is_hidden_cannot_be_sent_back_as_a_value() {
    let mut body = json!({"name": "a", "command": "x", "env": {"A": "hunter2", "B": "${B}", "C": "x ${C}"}});
    let spec = from_api(body.clone()).expect("valid");
    assert_eq!(spec.shown()["env"], json!({"A": "***", "B": "${B}", "C": "***"}));
    let same = patched(&spec, spec.shown()).expect("it keeps what it shows");
    assert_eq!(same.env, spec.env);
    let refused = |name: &str| {
        Err(vec![format!(
            "request: env.{name}: is hidden here: send the value itself"
        )])
    };
    assert_eq!(patched(&spec, json!({"env": {"NEW": "***"}})), refused("NEW"));
    body["env"]["A"] = json!("***");
    assert_eq!(from_api(body), refused("A"));
}
