//! What a valid configuration becomes.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::*;
use super::{Directory, defaults, load};

const SEED_BASIC: &str = r#"{
  "name": "simple-server",
  "path": "simple",
  "command": "node",
  "args": ["simple-server.js"],
  "enabled": true
}"#;
const SEED_VARIABLES: &str = r#"{
  "name": "api-server",
  "path": "api",
  "command": "npx",
  "args": ["api-mcp-server"],
  "env": {
    "API_KEY": "${API_KEY}",
    "BASE_URL": "https://api.example.com"
  },
  "enabled": true
}"#;
const SEED_PYTHON: &str = r#"{
  "name": "python-server",
  "path": "python",
  "command": "python3",
  "args": ["-m", "mcp_server"],
  "env": {
    "PYTHONPATH": "${HOME}/mcp-servers"
  },
  "enabled": true
}"#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a server shows that says nothing but its command.
fn bare(name: &str) -> Value {
    let spec = ServerSpec::from_api(&json!({"name": name, "command": "x"}), &ServerDefaults::default());
    spec.expect("a command is enough").shown()
}

/// The shown server with some of its values replaced.
fn shown(name: &str, changes: Value) -> Value {
    let mut shown = bare(name);
    for (key, value) in changes.as_object().expect("changes are a table") {
        assert!(shown.get(key).is_some(), "{key}");
        shown[key] = value.clone();
    }
    shown
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = defaults();
    assert_eq!(config.listen, "127.0.0.1:4100".parse().expect("an address"));
    assert_eq!(
        config.http,
        HttpConfig {
            allowed_hosts: vec![],
            allowed_origins: vec![],
            body_max: 16 << 20,
            header_max: 64 << 10,
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            connections_max: 4096,
            keep_alive: seconds(30),
            tcp_user_timeout: seconds(60),
            sse_after: seconds(5),
            drain_timeout: seconds(10),
            mode_header: false,
            http2_streams_max: 128,
            unix_socket: None,
        }
    );
    assert_eq!(
        config.sessions,
        SessionConfig {
            idle_timeout: seconds(600),
            max: 10_000,
            outbox_events_max: 256,
            outbox_bytes_max: 8 << 20,
            streams_max: 64,
            stream_retention: seconds(120),
            retry: seconds(1),
        }
    );
    assert_eq!(
        config.requests,
        RequestConfig {
            timeout: seconds(30),
            timeout_max: seconds(600),
            in_flight_max: 1024,
            depth_max: 128,
            batch_max: 100,
        }
    );
}

#[test]
fn so_are_those_of_what_is_rarely_set() {
    let config = defaults();
    let admin = AdminConfig {
        enabled: true,
        listen: None,
        allow_commands: false,
        allow_urls: false,
        token_file: "/state/admin-token".into(),
    };
    assert_eq!(config.admin, admin);
    let anonymous = AnonymousConfig {
        enabled: true,
        modes: ModeAccess::default(),
    };
    assert_eq!(config.anonymous, anonymous);
    let plugins = (
        config.plugins,
        config.modes,
        config.default_mode,
        config.routes.len(),
    );
    assert_eq!(plugins, (vec![], Modes::new(), None, 0));
    assert_eq!(
        config.supervision,
        SupervisionConfig {
            starting_max: 4,
            pid_namespace: PidNamespace::Off
        }
    );
    assert_eq!(config.events, EventConfig { history_max: 1024 });
    assert_eq!(
        config.log,
        LogConfig {
            format: LogFormat::Pretty,
            level: "info".to_owned()
        }
    );
    assert!(config.servers.is_empty() && config.principals.is_empty());
    assert_eq!(config.server_defaults, ServerDefaults::default());
}

#[test]
fn a_server_has_the_defaults_of_the_documentation() {
    let defaults = ServerDefaults::default();
    let spec = ServerSpec::from_api(&json!({"name": "a", "command": "x"}), &defaults).expect("valid");
    let expect = ServerSpec {
        name: "a".parse().expect("a name"),
        path: "a".to_owned(),
        display_name: "a".to_owned(),
        version: None,
        remote: None,
        command: Expanded::literal("x"),
        args: vec![],
        env: BTreeMap::new(),
        cwd: None,
        inherit_env: [
            "HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ",
        ]
        .map(str::to_owned)
        .into(),
        enabled: true,
        autostart: false,
        sharing: Sharing::Auto,
        client_features: vec![ClientFeature::Sampling, ClientFeature::Elicitation],
        instances: 1,
        instances_max: 8,
        handshake_timeout: seconds(60),
        request_timeout: None,
        idle_timeout: Some(seconds(600)),
        linger: seconds(30),
        stop_grace: seconds(5),
        ping_interval: None,
        ping_timeout: seconds(10),
        restart: RestartPolicy {
            attempts_max: 5,
            window: seconds(300),
            backoff_initial: Duration::from_millis(500),
            backoff_max: seconds(30),
            stable_after: seconds(60),
            cool_down: seconds(30),
        },
        line_max: 64 << 20,
        queue_max: 1024,
        queue_bytes_max: 64 << 20,
        in_flight_max: 4096,
        validate_arguments: ValidateArguments::Off,
        stderr_rate: 50,
        stderr_tail: 100,
        own: serde_json::Map::new(),
    };
    assert_eq!(spec, expect);
}

#[test]
fn the_seeds_examples_load_unchanged() {
    let variables = [("API_KEY", "hunter2"), ("HOME", "/home/me")];
    let simple = shown(
        "simple-server",
        json!({"path": "simple", "command": "node", "args": ["simple-server.js"]}),
    );
    let api = shown(
        "api-server",
        json!({
            "path": "api", "command": "npx", "args": ["api-mcp-server"],
            "env": {"API_KEY": "${API_KEY}", "BASE_URL": "***"},
        }),
    );
    let python = shown(
        "python-server",
        json!({
            "path": "python", "command": "python3", "args": ["-m", "mcp_server"],
            "env": {"PYTHONPATH": "***"},
        }),
    );
    let check = |text: &str, expect: &[&Value]| {
        let config = load("portcullis.json", text, &variables).expect("valid").config;
        let servers: Vec<Value> = config.servers.values().map(|server| server.shown()).collect();
        assert_eq!(servers.iter().collect::<Vec<_>>(), expect, "{text}");
        config
    };
    check(SEED_BASIC, &[&simple]);
    check(SEED_VARIABLES, &[&api]);
    let config = check(SEED_PYTHON, &[&python]);
    assert_eq!(
        config.servers["python-server"].env["PYTHONPATH"].value(),
        "/home/me/mcp-servers"
    );
    let all = format!("[{SEED_PYTHON}, {SEED_BASIC}, {SEED_VARIABLES}]");
    check(&format!(r#"{{"servers": {all}}}"#), &[&api, &python, &simple]);
    check(&all, &[&api, &python, &simple]);
    let table =
        format!(r#"{{"servers": {{"simple-server": {SEED_BASIC}, "api-server": {SEED_VARIABLES}}}}}"#);
    let config = check(&table, &[&api, &simple]);
    assert_eq!(config.servers["api-server"].env["API_KEY"].value(), "hunter2");
}

#[test]
fn three_formats_and_two_spellings_say_the_same() {
    let toml = r#"
        stateDir = "/s"
        [http]
        body_max = "1KiB"
        [serverDefaults]
        linger = 7
        [servers.a]
        command = "x"
        displayName = "A"
        sharing = "session"
        idle-timeout = "never"
    "#;
    let yaml = "state-dir: /s\nhttp: {bodyMax: 1024}\nserver-defaults: {linger: 7s}\nservers:\n  - name: a\n    command: x\n    display-name: A\n    sharing: session\n    idleTimeout: 0\n";
    let json = r#"{"stateDir": "/s", "http": {"body-max": "1 kib"}, "serverDefaults": {"linger": 7.0}, "mcpServers": {"a": {"type": "stdio", "command": "x", "display_name": "A", "sharing": "session", "idle_timeout": "0s", "disabled": false}}}"#;
    let expect = shown(
        "a",
        json!({"displayName": "A", "sharing": "session", "idleTimeout": "never", "linger": "7s"}),
    );
    for (name, text) in [
        ("a.toml", toml),
        ("a.yaml", yaml),
        ("a.yml", yaml),
        ("a.json", json),
    ] {
        let config = load(name, text, &[]).expect(name).config;
        assert_eq!(config.servers["a"].shown(), expect, "{name}");
        assert_eq!(
            (config.http.body_max, config.state_dir.to_str()),
            (1024, Some("/s")),
            "{name}"
        );
    }
}

#[test]
fn layers_win_over_those_before_and_say_where_values_come_from() {
    let directory = Directory::with(&[(
        "portcullis.toml",
        "[http]\nbody-max = '1MiB'\nheader-max = '16KiB'\nkeep-alive = '1s'\n[servers.a]\ncommand = 'x'\nargs = ['1', '2']\nenv = { A = 'a', B = '${B}' }\n",
    )]);
    let mut loader = directory.loader(&[
        ("B", "hunter2"),
        ("PORTCULLIS__HTTP__HEADER_MAX", "32KiB"),
        ("PORTCULLIS__HTTP__KEEP_ALIVE", "2s"),
        ("PORTCULLIS__SERVERS__A__ARGS", "3"),
        ("PORTCULLIS__SERVERS__A__ENV__C", "$${hunter3}"),
        ("PORTCULLIS__PRINCIPALS__ME__TOKEN", "hunter4hunter4hunter4"),
    ]);
    loader.flags = vec![
        ("http.keep-alive".to_owned(), "3s".to_owned()),
        ("listen".to_owned(), "127.0.0.1:0".to_owned()),
    ];
    let loaded = loader.load().expect("valid");
    let config = &loaded.config;
    assert_eq!(
        (
            config.http.body_max,
            config.http.header_max,
            config.http.keep_alive
        ),
        (1 << 20, 32 << 10, seconds(3))
    );
    let server = &config.servers["a"];
    assert_eq!(server.args.iter().map(Expanded::value).collect::<Vec<_>>(), ["3"]);
    assert_eq!(
        server
            .env
            .iter()
            .map(|(name, text)| (name.as_str(), text.value()))
            .collect::<Vec<_>>(),
        [("A", "a"), ("B", "hunter2"), ("C", "$${hunter3}")]
    );
    let place = |key: &str| {
        let origin = loaded
            .origins
            .entries
            .iter()
            .find(|origin| origin.key == key)
            .expect(key);
        directory.abridge(&format!("{} <- {}", origin.value, origin.place))
    };
    assert_eq!(place("http.body-max"), "\"1MiB\" <- DIR/portcullis.toml");
    assert_eq!(
        place("http.header-max"),
        "\"32KiB\" <- variable PORTCULLIS__HTTP__HEADER_MAX"
    );
    assert_eq!(place("http.keep-alive"), "\"3s\" <- flag");
    assert_eq!(place("http.sse-after"), "\"5s\" <- default");
    assert_eq!(place("state-dir"), "DIR/home/.local/state/portcullis <- default");
    assert_eq!(
        place("admin.listen"),
        "(the main listener, while that is loopback) <- default"
    );
    assert_eq!(place("servers.a.env.A"), "*** <- DIR/portcullis.toml");
    assert_eq!(place("servers.a.env.B"), "${B} <- DIR/portcullis.toml");
    let hidden = "*** <- variable PORTCULLIS__SERVERS__A__ENV__C";
    assert_eq!(place("servers.a.env.C"), hidden);
    assert_eq!(
        place("principals.me.token"),
        "*** <- variable PORTCULLIS__PRINCIPALS__ME__TOKEN"
    );
    let everything = format!("{loaded:?} {} {loader:?} {}", loaded.origins, server.shown());
    assert!(!everything.contains("hunter"), "{everything}");
}

#[test]
fn origins_are_an_aligned_table() {
    let origins = Origins {
        entries: vec![
            Origin {
                key: "a".to_owned(),
                value: "1".to_owned(),
                place: Place::Default,
            },
            Origin {
                key: "long".to_owned(),
                value: "22".to_owned(),
                place: Place::Flag,
            },
            Origin {
                key: "b".to_owned(),
                value: "x".repeat(60),
                place: Place::Request,
            },
        ],
    };
    let expect = format!(
        "a     1   default\nlong  22  flag\nb     {}  request\n",
        "x".repeat(60)
    );
    assert_eq!(origins.to_string(), expect);
}

#[test]
fn tokens() {
    let text = "[principals.a]\ntoken = '${A}'\n[principals.b]\ntoken = 'literal-literal-literal'\n[principals.c]\ntoken = 'x${A}'\n";
    let loaded = load("a.toml", text, &[("A", "0123456789abcdef")]).expect("valid");
    let tokens: Vec<&str> = loaded
        .config
        .principals
        .values()
        .map(|principal| principal.token.expose())
        .collect();
    assert_eq!(
        tokens,
        ["0123456789abcdef", "literal-literal-literal", "x0123456789abcdef"]
    );
    let shown: Vec<&str> = loaded
        .origins
        .entries
        .iter()
        .filter(|origin| origin.key.ends_with(".token"))
        .map(|origin| origin.value.as_str())
        .collect();
    assert_eq!(shown, ["${A}", "***", "***"]);
}

#[test]
fn a_server_that_starts_by_itself_stays_unless_a_time_is_set() {
    let idle = |text: &str| {
        let config = load("a.toml", text, &[]).expect("valid").config;
        config.servers["a"].idle_timeout
    };
    assert_eq!(idle("[servers.a]\ncommand = 'x'\nautostart = true"), None);
    assert_eq!(
        idle("[servers.a]\ncommand = 'x'\nautostart = true\nidle-timeout = '1m'"),
        Some(seconds(60))
    );
    assert_eq!(
        idle("server-defaults = { autostart = true, idle-timeout = '2m' }\n[servers.a]\ncommand = 'x'"),
        Some(seconds(120))
    );
    assert_eq!(
        idle("server-defaults = { idle-timeout = 'never' }\n[servers.a]\ncommand = 'x'"),
        None
    );
}

#[test]
fn warnings() {
    let text =
        "listen = '0.0.0.0:1'\n[anonymous]\nenabled = true\n[servers.a]\ncommand = 'x'\nargs = ['$HOME']";
    let lines = |text: &str| {
        let loaded = load("a.toml", text, &[]).expect("valid");
        loaded
            .warnings
            .iter()
            .map(|warning| {
                warning
                    .to_string()
                    .split_once(".toml: ")
                    .map(|(_, line)| line.to_owned())
                    .expect("of the file")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        lines(text),
        [
            "servers.a.args[0]: `$NAME` stays as it is, no shell reads it; write `${NAME}` for a variable",
            "listen: is not loopback, so the admin API is not served: set `admin.listen` to serve it elsewhere",
            "listen: is not loopback, and everyone who reaches it may use every server: set `anonymous.enabled = false`",
        ]
    );
    assert_eq!(
        lines("anonymous = { enabled = false }"),
        [
            "anonymous.enabled: nobody can use the gateway: add a principal, or serve anonymous clients",
            "servers: there are none: add one, or register one through the admin API",
        ]
    );
}

#[test]
fn the_example_is_valid_and_runs_nothing_but_the_mock() {
    let text = include_str!("../../../config/example.toml");
    let config = load("example.toml", text, &[]).expect("valid").config;
    for server in config.servers.values() {
        assert_eq!(
            (server.command.value(), server.args[0].value()),
            (SELF_COMMAND, "mock-server")
        );
    }
    assert_eq!(config.servers.len(), 2);
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let variables = [
        ("HOME", "/h"),
        ("BRAVE_API_KEY", "k"),
        ("ALICE_TOKEN", "0123456789abcdef"),
    ];
    let config = load("example.toml", &uncommented, &variables)
        .expect("valid")
        .config;
    assert_eq!(
        config.servers.keys().map(ServerName::as_str).collect::<Vec<_>>(),
        ["everything", "filesystem", "mock", "mock-next", "search", "time"]
    );
    assert!(!config.anonymous.enabled);
}
