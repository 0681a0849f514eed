//! What modes allow and refuse.

use super::*;

const CONFIG: &str = r#"{"modes": {
    "chat": {
        "allowed-servers": ["files", "search-*"],
        "allowed-capabilities": ["tools", "resources", "completions"],
        "tools": {"allow": ["read_*", "list"], "deny": ["*_secret"]},
        "resources": {"allow": ["file:///docs/*"], "deny": ["*/.env"]}
    },
    "look": {"allowed-servers": ["*"], "allowed-capabilities": ["*"], "read-only": true},
    "all": {"allowed-servers": ["*"], "allowed-capabilities": ["*"]},
    "none": {"allowed-servers": [], "allowed-capabilities": []}
}}"#;

fn policy() -> Policy {
    Policy::new(CONFIG).expect("a configuration")
}

fn item<'a>(kind: &'a str, name: &'a str) -> Item<'a> {
    Item {
        kind,
        name,
        server: "files",
        annotations: None,
    }
}

fn decide(mode: &str, method: &str, item: Option<Item>) -> Result<(), Refusal> {
    let call = Circumstances {
        mode: Some(mode),
        method,
        server: Some("files"),
    };
    policy().authorize(&call, item.as_ref())
}

fn refusal(mode: &str, method: &str, item: Option<Item>) -> Refusal {
    decide(mode, method, item).expect_err("a refusal")
}

#[test]
fn deny_wins_over_allow() {
    assert_eq!(
        decide("chat", "tools/call", Some(item("tool", "read_file"))),
        Ok(())
    );
    let refused = refusal("chat", "tools/call", Some(item("tool", "read_secret")));
    assert_eq!(
        refused.message,
        r#"mode "chat" does not allow tool "read_secret""#
    );
    assert!(refused.reason.contains("\"*_secret\""), "{}", refused.reason);
}

#[test]
fn the_client_cannot_tell_a_forbidden_name_from_an_unknown_one() {
    let known = Item {
        annotations: Some(r#"{"readOnlyHint":false}"#),
        ..item("tool", "x")
    };
    for mode in ["chat", "look"] {
        let known = refusal(mode, "tools/call", Some(known));
        let unknown = refusal(mode, "tools/call", Some(item("tool", "x")));
        assert_eq!((known.code, known.message), (unknown.code, unknown.message));
    }
}

#[test]
fn nothing_is_allowed_without_a_known_mode() {
    let call = Circumstances {
        mode: None,
        method: "ping",
        server: None,
    };
    let no_modes = Policy::new("{}").expect("a configuration");
    for policy in [&policy(), &no_modes] {
        assert!(policy.authorize(&call, None).is_err());
    }
    assert!(
        policy()
            .filter(&call, [item("tool", "list")].into_iter())
            .is_empty()
    );
    assert_eq!(
        refusal("other", "ping", None).message,
        r#"there is no mode "other""#
    );
}

#[test]
fn a_server_is_judged_where_it_is_known() {
    let policy = policy();
    let on = |server| Circumstances {
        mode: Some("chat"),
        method: "tools/list",
        server,
    };
    assert_eq!(policy.authorize(&on(Some("search-a")), None), Ok(()));
    assert_eq!(policy.authorize(&on(None), None), Ok(()));
    let refused = policy.authorize(&on(Some("shell")), None).expect_err("a refusal");
    assert_eq!(refused.message, r#"mode "chat" does not allow this server"#);
    let elsewhere = Item {
        server: "shell",
        ..item("tool", "list")
    };
    assert!(policy.authorize(&on(None), Some(&elsewhere)).is_err());
    assert!(
        policy
            .filter(&on(Some("shell")), [item("tool", "list")].into_iter())
            .is_empty()
    );
    let servers = [item("server", "files"), item("server", "shell")];
    assert_eq!(policy.filter(&on(None), servers.into_iter()), [0]);
}

#[test]
fn capabilities_are_refused_as_if_the_server_had_none() {
    for (method, what) in [
        ("prompts/list", "prompts"),
        ("logging/setLevel", "logging"),
        ("sampling/createMessage", "sampling"),
        ("elicitation/create", "elicitation"),
        ("roots/list", "roots"),
        ("tasks/list", "tasks"),
        ("notifications/prompts/list_changed", "prompts"),
        ("vendor/anything", "vendor"),
    ] {
        let refused = refusal("chat", method, None);
        assert_eq!(refused.code, METHOD_NOT_FOUND, "{method}");
        assert_eq!(refused.message, format!("mode \"chat\" does not allow {what}"));
        assert_eq!(decide("all", method, None), Ok(()), "{method}");
    }
}

#[test]
fn a_mode_that_allows_nothing_still_speaks_the_protocol_with_nobody() {
    assert!(decide("none", "ping", None).is_err(), "the server is not allowed");
    let call = Circumstances {
        mode: Some("none"),
        method: "ping",
        server: None,
    };
    assert_eq!(policy().authorize(&call, None), Ok(()));
}

#[test]
fn a_thing_is_judged_by_its_kind_whatever_names_it() {
    let prompt = Some(item("prompt", "greet"));
    let refused = refusal("chat", "completion/complete", prompt);
    assert_eq!(refused.message, "mode \"chat\" does not allow prompts");
    let outside = item("resource", "file:///etc/passwd");
    for method in [
        "resources/read",
        "resources/subscribe",
        "completion/complete",
        "tools/call",
    ] {
        assert!(decide("chat", method, Some(outside)).is_err(), "{method}");
    }
    let inside = Some(item("resource", "file:///docs/a.md"));
    assert_eq!(decide("chat", "resources/read", inside), Ok(()));
    let template = Some(item("resource-template", "file:///docs/{name}"));
    assert_eq!(decide("chat", "completion/complete", template), Ok(()));
    let task = Some(item("task", "1"));
    assert_eq!(decide("all", "tasks/result", task), Ok(()));
    assert!(decide("chat", "tasks/result", task).is_err());
    assert!(
        decide("all", "tools/call", Some(item("spell", "x"))).is_err(),
        "an unknown kind"
    );
}

#[test]
fn what_must_name_something_and_does_not_is_refused() {
    for method in [
        "tools/call",
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "completion/complete",
        "tasks/get",
        "tasks/cancel",
        "notifications/tasks/status",
    ] {
        assert!(decide("all", method, None).is_err(), "{method}");
    }
}

#[test]
fn patterns_are_not_evaded_by_another_spelling() {
    for uri in [
        "file:///docs/../etc/passwd",
        "file:///docs/%2e%2e/etc/passwd",
        "file:///docs//.env",
    ] {
        let refused = refusal("chat", "resources/read", Some(item("resource", uri)));
        assert!(refused.reason.contains("spelt"), "{}", refused.reason);
        // Where there are no patterns, there is nothing to evade.
        assert_eq!(
            decide("all", "resources/read", Some(item("resource", uri))),
            Ok(())
        );
    }
}

#[test]
fn a_read_only_mode_believes_only_what_it_can_read() {
    let tool = |annotations| Item {
        annotations,
        ..item("tool", "x")
    };
    let decide = |annotations| decide("look", "tools/call", Some(tool(annotations)));
    assert_eq!(decide(Some(r#"{"title":"X","readOnlyHint":true}"#)), Ok(()));
    for annotations in [
        None,
        Some("{}"),
        Some("[]"),
        Some("not json"),
        Some(r#"{"readOnlyHint":false}"#),
        Some(r#"{"readOnlyHint":"true"}"#),
        Some(r#"{"readOnlyHint":true,"readOnlyHint":true}"#),
    ] {
        assert!(decide(annotations).is_err(), "{annotations:?}");
    }
}

#[test]
fn lists_keep_what_may_be_used() {
    let call = Circumstances {
        mode: Some("chat"),
        method: "initialize",
        server: Some("files"),
    };
    let items = [
        item("tool", "read_a"),
        item("tool", "write_a"),
        item("capability", "tools"),
        item("capability", "prompts"),
        item("resource", "file:///docs/a"),
        item("resource", "file:///docs/.env"),
        item("prompt", "greet"),
        item("spell", "x"),
    ];
    assert_eq!(policy().filter(&call, items.into_iter()), [0, 2, 4]);
}

#[test]
fn a_wrong_configuration_is_named() {
    for (config, named) in [
        (r#"{"mode":{}}"#, "mode"),
        (
            r#"{"modes":{"a":{"allowed-servers":["*"]}}}"#,
            "allowed-capabilities",
        ),
        (
            r#"{"modes":{"a":{"allowed-servers":[],"allowed-capabilities":[],"readonly":true}}}"#,
            "readonly",
        ),
    ] {
        let error = Policy::new(config).expect_err(config);
        assert!(error.contains(named), "{error}");
    }
}
