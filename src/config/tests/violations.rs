//! Every kind of violation, with the line that a user reads.

use super::load;

#[track_caller]
pub(super) fn check(text: &str, expect: &[&str]) {
    check_with(text, &[], expect);
}

#[track_caller]
fn check_with(text: &str, variables: &[(&str, &str)], expect: &[&str]) {
    let lines = load("a.toml", text, variables).map(|_| ()).expect_err("invalid");
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.strip_prefix("DIR/a.toml: ").unwrap_or(line))
        .collect();
    assert_eq!(lines, expect);
}

#[test]
fn unknown_keys_come_with_a_suggestion() {
    check(
        "lisen = 1\nxyzzy = 2\n[htpp]\na = 1\n[http]\nbody-mx = 1\nbodyMaxx = 1\n[servers.a]\ncomand = 'x'\ncommand = 'x'\ntimeout = 5\ndescription = 'd'\nfrobnicate = true\n[principals.p]\ntoken = '0123456789abcdef'\ntokens = 1\n",
        &[
            "htpp: unknown key; did you mean `http`?",
            "lisen: unknown key; did you mean `listen`?",
            "xyzzy: unknown key; remove it",
            "servers.a.comand: unknown key; did you mean `command`?",
            "servers.a.description: unknown key; did you mean `display-name`?",
            "servers.a.frobnicate: unknown key; remove it",
            "servers.a.timeout: unknown key; did you mean `request-timeout`?",
            "http.body-mx: unknown key; did you mean `body-max`?",
            "http.bodyMaxx: unknown key; did you mean `body-max`?",
            "principals.p.tokens: unknown key; did you mean `token`?",
        ],
    );
}

#[test]
fn wrong_values() {
    check(
        r#"
        listen = "localhost"
        state-dir = "~/x"
        [http]
        allowed-hosts = ["https://x"]
        allowed-origins = ["x.example"]
        body-max = "1"
        connections-max = 0
        header-timeout = "soon"
        keep-alive = true
        [admin]
        enabled = "yes"
        [supervision]
        pid-namespace = "on"
        [log]
        level = "loud"
        [server-defaults]
        inherit-env = ["A=B"]
        client-features = ["smelling"]
        idle-timeout = "whenever"
        [servers.a]
        command = 5
        args = ["x", 5]
        path = "a/b"
        display-name = ""
        version = "1\n2"
        cwd = []
        env = { "A=" = "x", B = 5 }
        "#,
        &[
            r#"listen: expected an address and a port such as "127.0.0.1:4100" or "[::1]:4100", found "localhost""#,
            "state-dir: `~` is not expanded: write the whole path",
            r#"server-defaults.client-features: expected "sampling" or "elicitation" or "roots", found "smelling""#,
            r#"server-defaults.idle-timeout: expected a time such as "10m" up to 365d, or "never", found "whenever""#,
            r#"server-defaults.inherit-env: "A=B" is not the name of a variable: write `NAME`, or `PREFIX*` for all that start so"#,
            r#"servers.a.args: expected a list of texts (in quotes), found a list"#,
            r#"servers.a.command: expected text (in quotes), found something else"#,
            r#"servers.a.cwd: expected text (in quotes), found a list"#,
            r#"servers.a.display-name: must not be empty"#,
            r#"servers.a.env.A=: is not a name for an environment variable"#,
            r#"servers.a.env.B: expected text (in quotes), found something else"#,
            r#"servers.a.path: "a/b" is not one segment of a URL: use letters, digits, `.`, `_`, `~` and `-`, and not dots alone"#,
            r#"servers.a.version: must not contain control characters"#,
            r#"http.allowed-hosts: "https://x" is not a host: write `host` or `host:port`, without scheme, path or `*`"#,
            r#"http.allowed-origins: "x.example" is not an origin: write `scheme://host` or `scheme://host:port`, without path or `*`"#,
            r#"http.body-max: expected a size such as "16MiB", from 1KiB to 4GiB, found "1""#,
            r#"http.connections-max: expected a whole number from 1 to 1000000, found 0"#,
            r#"http.header-timeout: expected a time such as "10s", from 1ms to 1d, found "soon""#,
            r#"http.keep-alive: expected a time such as "10s", from 10ms to 1d, found true"#,
            r#"admin.enabled: expected `true` or `false`, found "yes""#,
            r#"supervision.pid-namespace: expected "off" or "auto", found "on""#,
            r#"log.level: "loud" is not a log filter: use a level (off, error, warn, info, debug, trace) or directives such as "info,portcullis=debug""#,
        ],
    );
}

#[test]
fn hosts_and_origins() {
    let wrong =
        |list: &str, entry: &str| load("a.toml", &format!("http = {{ {list} = ['{entry}'] }}"), &[]).is_err();
    for host in ["a", "a.example", "a:1", "127.0.0.1:80", "[::1]", "[::1]:80"] {
        assert!(!wrong("allowed-hosts", host), "{host}");
        assert!(!wrong("allowed-origins", &format!("https://{host}")), "{host}");
    }
    for host in [
        "", "*", "a b", "a/", "a:", "a:0", "a:65536", "::1", "[::1", "[x]", ":80", "user@a", "a,b",
    ] {
        assert!(wrong("allowed-hosts", host), "{host}");
        assert!(wrong("allowed-origins", &format!("https://{host}")), "{host}");
    }
    for origin in ["null", "*", "a", "https://a/", "://a", "1x://a"] {
        assert!(wrong("allowed-origins", origin), "{origin}");
    }
}

#[test]
fn tables_and_values_in_each_others_place() {
    check(
        "http = 5\nservers = 'x'\nprincipals = []\n[listen]\na = 1\n",
        &[
            r#"listen: expected an address and a port such as "127.0.0.1:4100" or "[::1]:4100", found a table"#,
            "http: expected a table: write `[http]` and its keys below",
            "servers: expected a table: write `[servers]` and its keys below",
        ],
    );
    check(
        "[servers]\na = 5",
        &["servers.a: expected a table: write `[servers.a]` and its keys below"],
    );
    check(
        "[principals]\na = 'secret'",
        &["principals.a: expected a table: write `[principals.a]` and its keys below"],
    );
    check(
        "[servers.a]\ncommand = 'x'\nenv = ['A=b']",
        &["servers.a.env: expected a table of texts"],
    );
}

#[test]
fn missing_variables_name_themselves_their_server_and_their_key() {
    check_with(
        "[servers.api]\ncommand = '${BIN}'\nargs = ['a', '${ONE} ${TWO}']\ncwd = '${EMPTY}'\nenv = { KEY = '${THREE}', OPEN = '${', ODD = '${x y}' }\n[principals.p]\ntoken = '${FOUR}'\n[servers.empty]\ncommand = '${EMPTY}'\n",
        &[("EMPTY", "")],
        &[
            "servers.api.command: variable `BIN` is not set: set it, or give a default with `${BIN:-...}`",
            "servers.api.args[1]: variable `ONE` is not set: set it, or give a default with `${ONE:-...}`",
            "servers.api.args[1]: variable `TWO` is not set: set it, or give a default with `${TWO:-...}`",
            "servers.api.env.KEY: variable `THREE` is not set: set it, or give a default with `${THREE:-...}`",
            "servers.api.env.ODD: `${...}` holds a variable name, or a name and a default as in `${NAME:-default}`; write `$$` for a dollar sign",
            "servers.api.env.OPEN: `${` without `}`: close it, or write `$$` for a dollar sign",
            "servers.api.cwd: must not be empty",
            "servers.empty.command: must not be empty",
            "principals.p.token: variable `FOUR` is not set: set it, or give a default with `${FOUR:-...}`",
        ],
    );
}

#[test]
fn zero_bytes_never_reach_a_process() {
    check_with(
        "[servers.a]\ncommand = \"x\\u0000\"\nargs = ['${ZERO}']",
        &[("ZERO", "a\0b")],
        &[
            "servers.a.command: must not contain a zero byte",
            "servers.a.args[0]: must not contain a zero byte once its variables are filled in",
        ],
    );
}

#[test]
fn names_paths_and_missing_commands() {
    check(
        "[servers.'a b']\ncommand = 'x'\n[servers.'..']\ncommand = 'x'\n[servers.c]\n[servers.d]\ncommand = ''\n[servers.e]\ncommand = 'x'\npath = 'f'\n[servers.f]\ncommand = 'x'\n[principals.'p/q']\ntoken = '0123456789abcdef'\n[principals.anonymous]\ntoken = '0123456789abcdeg'\n[principals.r]\n",
        &[
            "servers...: a name must not consist of dots alone; rename it",
            "servers.a b: a name is made of letters, digits, `.`, `_` and `-`; ' ' is none of them; rename it",
            "servers.c.command: is missing: give the program that is the server, or the `url` of a remote one",
            "servers.d.command: must not be empty",
            "servers.f.path: `f` is the path of server `e` too: give one of them another",
            "principals.anonymous: is the name of clients without a token; rename it",
            "principals.p/q: a name is made of letters, digits, `.`, `_` and `-`; '/' is none of them; rename it",
            "principals.r.token: is missing. The bearer token, at least 16 bytes; usually \"${VARIABLE}\".",
        ],
    );
}

#[test]
fn tokens_are_long_sendable_and_not_shared_and_never_shown() {
    check_with(
        "[principals.a]\ntoken = '${A}'\n[principals.b]\ntoken = '${B}'\n[principals.c]\ntoken = 'hunter2 hunter2 hunter2'\n[principals.d]\ntoken = '${A}'\n[principals.e]\ntoken = 123456789012345678\n[principals.f]\ntoken = ''\n[principals.g]\ntoken = '123456789012345'\n",
        &[("A", "hunter2hunter2hunter2"), ("B", "")],
        &[
            "principals.b.token: has 0 bytes, a token needs at least 16: make one with `openssl rand -hex 32`",
            "principals.c.token: must consist of visible ASCII characters, or no client could send it",
            "principals.d.token: is the token of principal `a` too: give each their own",
            "principals.e.token: expected text (in quotes), found something else",
            "principals.f.token: has 0 bytes, a token needs at least 16: make one with `openssl rand -hex 32`",
            "principals.g.token: has 15 bytes, a token needs at least 16: make one with `openssl rand -hex 32`",
        ],
    );
}

#[test]
fn values_that_contradict_each_other() {
    check(
        "listen = '127.0.0.1:4200'\n[admin]\nlisten = '127.0.0.1:4200'\n[requests]\ntimeout = '1h'\n[servers.a]\ncommand = 'x'\ninstances = 9\nbackoff-max = '1ms'\nrequest-timeout = '11m'\n[servers.b]\ncommand = 'x'\n",
        &[
            "requests.timeout: is above `timeout-max`: lower it, or raise `timeout-max`",
            "servers.a.instances: is above `instances-max`: lower it, or raise `instances-max`",
            "servers.a.backoff-initial: is above `backoff-max`: lower it, or raise `backoff-max`",
            "servers.a.request-timeout: is above `requests.timeout-max`: lower it, or raise `requests.timeout-max`",
            "admin.listen: is the address of the main listener: remove it, or choose another port",
        ],
    );
    check(
        "[server-defaults]\ninstances = 9\n[servers.a]\ncommand = 'x'\n[servers.b]\ncommand = 'x'\n",
        &["server-defaults.instances: is above `instances-max`: lower it, or raise `instances-max`"],
    );
    assert!(
        load(
            "a.toml",
            "listen = '127.0.0.1:0'\nadmin = { listen = '127.0.0.1:0' }",
            &[]
        )
        .is_ok()
    );
}

#[test]
fn violations_name_the_variable_they_come_from() {
    check_with(
        "# nothing",
        &[
            ("PORTCULLIS__HTTP__BODY_MAX", "huge"),
            ("PORTCULLIS__HTPP__X", "1"),
            ("PORTCULLIS__SERVERS__S__COMMAND", ""),
        ],
        &[
            "variable PORTCULLIS__HTPP__X: htpp: unknown key; did you mean `http`?",
            "variable PORTCULLIS__SERVERS__S__COMMAND: servers.s.command: must not be empty",
            "variable PORTCULLIS__HTTP__BODY_MAX: http.body-max: expected a size such as \"16MiB\", from 1KiB to 4GiB, found \"huge\"",
        ],
    );
}
