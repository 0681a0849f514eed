//! Modes and routes in a configuration: who may use which mode, which servers stand behind one name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::super::*;
use super::load;
use super::violations::check;

/// The modes of `anonymous`, with these keys.
#[track_caller]
fn check_access(keys: &str, default_mode: &str, allowed: &[&str], usual: Option<&str>) {
    let text = format!("{default_mode}\n[anonymous]\n{keys}\n[modes.chat]\n[modes.code]\n[modes.admin]\n");
    let config = load("a.toml", &text, &[]).expect("valid").config;
    let expect = ModeAccess {
        allowed: allowed
            .iter()
            .map(|mode| (*mode).to_owned())
            .collect::<BTreeSet<_>>(),
        usual: usual.map(str::to_owned),
    };
    assert_eq!(config.anonymous.modes, expect, "{keys} {default_mode}");
}

#[test]
fn who_says_nothing_gets_the_default_mode_alone() {
    let default = "default-mode = 'chat'";
    check_access("", "", &[], None);
    check_access("", default, &["chat"], Some("chat"));
    check_access("mode = 'code'", default, &["code"], Some("code"));
    check_access("mode = 'code'", "", &["code"], Some("code"));
    check_access(
        "modes = ['chat', 'code']",
        default,
        &["chat", "code"],
        Some("chat"),
    );
    check_access("modes = ['admin', 'code']", default, &["admin", "code"], None);
    check_access("modes = ['code']", "", &["code"], None);
    check_access(
        "modes = ['code', 'chat']\nmode = 'code'",
        default,
        &["chat", "code"],
        Some("code"),
    );
    check_access("modes = []", default, &[], None);
}

#[test]
fn modes_are_free_tables_that_keep_their_spelling() {
    let text = "[modes.chat]\nallowed-servers = ['a']\nSome_Key = { inner = 1.5 }\n[modes.Its_Own.Deep]\nx = '${X}'\n";
    let variables = [("PORTCULLIS__MODES__ITS_OWN__LIST", "[1]")];
    let loaded = load("a.toml", text, &variables).expect("valid");
    let expect = json!({
        "chat": {"allowed-servers": ["a"], "Some_Key": {"inner": 1.5}},
        "Its_Own": {"Deep": {"x": "${X}"}, "list": [1]},
    });
    assert_eq!(json!(loaded.config.modes), expect);
    let place = |path: &str| loaded.origins.place_of(path).map(ToString::to_string);
    assert_eq!(
        place("modes.Its_Own.list[0]").as_deref(),
        Some("variable PORTCULLIS__MODES__ITS_OWN__LIST")
    );
    for path in ["modes.chat.allowed-servers", "modes.chat.Some_Key", "modes.chat"] {
        assert!(
            place(path).is_some_and(|place| place.ends_with("a.toml")),
            "{path}"
        );
    }
    assert_eq!(place("modes.cha"), None);
}

#[test]
fn modes_that_are_not_there() {
    check(
        r#"
        default-mode = "chatt"
        modes = { "a b" = {}, chat = {}, odd = 5 }
        [anonymous]
        modes = ["chat", "nothing-like-it"]
        mode = "code"
        [principals.p]
        token = "0123456789abcdef"
        mode = "cat"
        "#,
        &[
            "modes.a b: a name is made of letters, digits, `.`, `_` and `-`; ' ' is none of them; rename it",
            "modes.odd: expected a table: write `[modes.odd]` and what it allows below",
            "default-mode: there is no mode `chatt`; did you mean `chat`?",
            "anonymous.modes[1]: there is no mode `nothing-like-it`: write `[modes.nothing-like-it]` and what it allows below",
            "anonymous.mode: there is no mode `code`: write `[modes.code]` and what it allows below",
            "anonymous.mode: `code` is not among its `modes`: add it there, or choose another",
            "principals.p.mode: there is no mode `cat`; did you mean `chat`?",
        ],
    );
}

#[test]
fn a_client_for_which_there_is_no_mode_is_worth_a_warning() {
    let text = "[servers.a]\ncommand = 'x'\n[modes.chat]\n[principals.p]\ntoken = '0123456789abcdef'\nmode = 'chat'\n";
    let warnings = load("a.toml", text, &[]).expect("valid").warnings;
    let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "default: anonymous: no mode is for this client, so all it sends is refused: give it `modes`, or set `default-mode`"
        ]
    );
}

const SERVERS: &str = "[servers.a]\ncommand = 'x'\n[servers.b]\ncommand = 'x'\npath = 'bee'\n";

#[test]
fn a_route_keeps_the_order_of_its_servers() {
    let text = format!(
        "{SERVERS}[routes.search]\nservers = ['b', {{ server = 'a', weight = 0, labels = {{ Tier = 'x' }} }}]\n"
    );
    let routes = load("a.toml", &text, &[]).expect("valid").config.routes;
    let server = |name: &str, weight, labels: &[(&str, &str)]| RouteServer {
        server: name.parse().expect("a name"),
        weight,
        labels: labels
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
    };
    let servers = vec![server("b", 1, &[]), server("a", 0, &[("Tier", "x")])];
    assert_eq!(
        routes,
        BTreeMap::from([("search".to_owned(), RouteSpec { servers })])
    );
}

#[test]
fn routes_that_lead_nowhere() {
    let text = "[routes.bee]\nservers = ['a', 'a', { server = 'c', wieght = 1 }, 5]\n[routes.'x y']\nservers = []\n[routes.z]\n";
    check(
        &format!("{SERVERS}{text}"),
        &[
            "routes.bee.servers[2].wieght: unknown key; did you mean `weight`?",
            "routes.bee.servers[3]: expected a table, or a text for its first key",
            "routes.bee: is the path of server `b` too: rename one of them",
            "routes.bee.servers[1].server: `a` is listed twice: remove one of the two",
            "routes.bee.servers[2].server: there is no server `c`: write `[servers.c]`, or remove it here",
            "routes.x y: a name is made of letters, digits, `.`, `_` and `-`; ' ' is none of them; rename it",
            "routes.x y.servers: a route needs at least one server",
            "routes.z.servers: is missing. The registered servers behind the one name, each a table or a name.",
        ],
    );
}
