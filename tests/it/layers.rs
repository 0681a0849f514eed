//! The house rules, held against the source: who may import whom, the walls, and what every file keeps to.
//!
//! The rules stand in `src/lib.rs`; what is tested here is that the code follows them, and that breaking one is seen.

mod rules;
mod source;

use std::path::Path;

use rules::{ARROWS_SENTENCE, broken, forgotten};
use source::Source;

/// Reads every file of a folder of this crate, by its place below the folder.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("the source is there when tests run") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                let place = path.strip_prefix(&root).expect("it was found below");
                sources.push(Source::new(&place.display().to_string(), &text));
            }
        }
    }
    assert!(!sources.is_empty(), "there is source below {}", root.display());
    sources
}

fn assert_none(broken: &[String]) {
    assert!(
        broken.is_empty(),
        "{} breaks of the house rules:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn the_source_keeps_to_the_rules() {
    let broken: Vec<String> = sources("src").iter().flat_map(broken).collect();
    assert_none(&broken);
}

#[test]
fn the_map_draws_the_arrows_that_are_tested() {
    let map = include_str!("../../src/lib.rs").replace("\n//!", "");
    assert!(
        map.contains(ARROWS_SENTENCE),
        "src/lib.rs and tests/it/layers/rules.rs must say the same: {ARROWS_SENTENCE}"
    );
}

#[test]
fn every_test_file_says_what_it_is_for() {
    let silent = ["tests/it", "tests/bench"].into_iter().flat_map(|folder| {
        let silent = sources(folder)
            .into_iter()
            .filter(|source| !source.text.starts_with("//!"));
        silent.map(move |source| format!("{folder}/{}:1: every file starts with `//!`", source.place))
    });
    assert_none(&silent.collect::<Vec<_>>());
}

#[test]
fn no_file_is_forgotten() {
    for (folder, roots) in [
        ("src", &["lib.rs", "main.rs"][..]),
        ("tests/it", &["main.rs"]),
        ("tests/bench", &["main.rs"]),
    ] {
        let mut files = sources(folder);
        files.retain(|source| !roots.contains(&source.place.as_str()) || source.place == roots[0]);
        let forgotten = forgotten(&files, roots[0]);
        assert_eq!(
            forgotten,
            Vec::<String>::new(),
            "no `mod` line of {folder} leads to these"
        );
    }
}

/// Plants a line into a file of the house and returns what is said about it.
fn planted(place: &str, code: &str) -> Vec<String> {
    broken(&Source::new(place, &format!("//! A file.\n{code}\n")))
}

fn assert_caught(place: &str, code: &str, said: &str) {
    let broken = planted(place, code);
    assert!(
        broken.len() == 1 && broken[0].contains(said),
        "{place}: {code}\nwanted one message with {said:?}, got {broken:#?}"
    );
}

fn assert_free(place: &str, code: &str) {
    assert_eq!(planted(place, code), Vec::<String>::new(), "{place}: {code}");
}

#[test]
fn imports_against_the_arrows_are_caught() {
    assert_caught(
        "gateway/x.rs",
        "use crate::http::Reply;",
        "src/gateway/x.rs:2: `crate::http::Reply`: `gateway` may not import `http`",
    );
    assert_caught(
        "session/x.rs",
        "use crate::registry::Registry;",
        "`session` may not import `registry`",
    );
    assert_caught(
        "registry/x.rs",
        "use crate::{config::Config, session::Session};",
        "`registry` may not import `session`",
    );
    assert_caught(
        "protocol/x.rs",
        "use crate::config;",
        "`protocol` may not import `config`",
    );
    assert_caught(
        "schema.rs",
        "use crate::config::Config;",
        "`schema` may not import `config`",
    );
    assert_caught(
        "config/x.rs",
        "use crate::upstream::{\n    launch,\n};",
        "src/config/x.rs:3:",
    );
    assert_caught(
        "mock/x.rs",
        "fn f() { crate::upstream::launch::go() }",
        "`mock` may not import `upstream`",
    );
    assert_caught(
        "http/x.rs",
        "use crate::telemetry::start;",
        "`http` may not import `telemetry`",
    );
    assert_caught(
        "upstream/launch/x.rs",
        "use super::super::super::gateway::Gateway;",
        "`crate::gateway::Gateway`",
    );
    assert_caught(
        "upstream/mod.rs",
        "mod tests { use super::super::http::Reply; }",
        "`upstream` may not import `http`",
    );
    assert_caught(
        "app.rs",
        "type T = Vec<crate::cli::Cli>;",
        "`app` may not import `cli`",
    );
    assert_caught(
        "main.rs",
        "use portcullis::telemetry;",
        "`main` may not import `telemetry`",
    );
}

#[test]
fn imports_along_the_arrows_are_free() {
    assert_free("main.rs", "fn f() { portcullis::upstream::launch::guard_main() }");
    assert_free("cli/x.rs", "use crate::{app::App, mock, telemetry};");
    assert_free(
        "http/x.rs",
        "use crate::protocol::Message; use crate::config::Config;",
    );
    assert_free(
        "upstream/launch/x.rs",
        "use super::super::state::Phase; use super::{exit, wire::Frame};",
    );
    assert_free(
        "gateway/x.rs",
        "// use crate::http::Reply;\nconst A: &str = \"crate::http::Reply\"; /* warp::any /* */ */",
    );
    assert_free(
        "gateway/x.rs",
        "fn f<'a>(a: &'a str) -> impl Sized + use<'a> { r#\"hyper::Request\"#; '\"'; a }",
    );
}

#[test]
fn what_leaves_its_walls_is_caught() {
    assert_caught(
        "cli/check.rs",
        "use figment::Figment;",
        "figment stays in `config`",
    );
    assert_caught(
        "gateway/x.rs",
        "fn f() { jsonschema::options(); }",
        "jsonschema stays in `schema`",
    );
    assert_caught(
        "app.rs",
        "use warp::Filter;",
        "warp and hyper's server stay in `http`",
    );
    assert_caught(
        "cli/x.rs",
        "use hyper::{client, server::conn::http1};",
        "warp and hyper's server stay in `http`",
    );
    assert_caught(
        "gateway/x.rs",
        "use http::StatusCode;",
        "HTTP types stay in `http`",
    );
    assert_caught(
        "app.rs",
        "fn f() { std::process::Command::new(\"sh\"); }",
        "started in `upstream::launch` only",
    );
    assert_caught(
        "upstream/supervisor.rs",
        "use tokio::process::Child;",
        "started in `upstream::launch` only",
    );
    assert_caught(
        "mock/work.rs",
        "use std::{fmt, process::{Command, ExitCode}};",
        "started in `upstream::launch` only",
    );
    assert_caught(
        "cli/x.rs",
        "use std::process;",
        "started in `upstream::launch` only",
    );
    assert_caught(
        "upstream/x.rs",
        "fn f() { libc::fork() }",
        "libc is for `upstream::launch` only",
    );
    assert_caught("mock/server.rs", "use clap::Parser;", "clap stays in `cli`");
    assert_caught(
        "app.rs",
        "fn f() -> anyhow::Result<()> { Ok(()) }",
        "anyhow is for `main` and `cli`",
    );
    assert_caught(
        "protocol/x.rs",
        "use tokio::sync::Mutex;",
        "performs no I/O and reads no clock",
    );
    assert_caught(
        "protocol/x.rs",
        "fn f() { std::time::Instant::now(); }",
        "performs no I/O and reads no clock",
    );
}

#[test]
fn what_stays_within_its_walls_is_free() {
    assert_free("config/layers.rs", "use figment::Figment;");
    assert_free("schema.rs", "use jsonschema::Validator;");
    assert_free(
        "http/x.rs",
        "use warp::Filter; use http::StatusCode; use hyper_util::server::conn;",
    );
    assert_free(
        "cli/x.rs",
        "use hyper::client::conn::http1; use anyhow::Context; use clap::Args;",
    );
    assert_free(
        "upstream/launch/guard.rs",
        "use std::process::Command; fn f() { libc::fork() }",
    );
    assert_free(
        "mock/descendants.rs",
        "use std::process::{Child, Command, Stdio};",
    );
    assert_free("mock/options.rs", "use clap::Args;");
    assert_free("main.rs", "use std::process::ExitCode;");
}

#[test]
fn careless_files_are_caught() {
    let bare = broken(&Source::new("app.rs", "use std::fmt;\n"));
    assert_eq!(
        bare,
        ["src/app.rs:1: every file starts with `//!`: what it is for"]
    );
    assert_caught("app.rs", &"\n".repeat(500), "lines; a file has at most 500");
    assert_caught(
        "app.rs",
        "#[allow(dead_code)]\nfn f() {}",
        "src/app.rs:2: `#[expect(lint, reason = \"…\")]`, never `allow`",
    );
    assert_caught(
        "app.rs",
        "#[cfg_attr(test, allow(dead_code))]\nfn f() {}",
        "never `allow`",
    );
    assert_caught("app.rs", "#![allow(dead_code)]", "never `allow`");
    assert_caught("app.rs", "fn f() { g().unwrap(); }", "never `unwrap`");
    assert_caught(
        "app.rs",
        "#[cfg(test)]\nmod tests { fn f() { g().unwrap() } }\nfn f() { g().unwrap() }",
        "src/app.rs:4:",
    );
}

#[test]
fn what_is_allowed_is_not_mistaken() {
    assert_free("app.rs", "#[cfg(test)]\nmod tests { fn f() { g().unwrap() } }");
    assert_free("config/tests/x.rs", "fn f() { g().unwrap() }");
    assert_free(
        "http/x.rs",
        "fn f() { warp::cors().allow(1); allow(2); g().unwrap_or(3); }",
    );
}

#[test]
fn a_forgotten_file_is_found() {
    let files = [
        Source::new("main.rs", "mod a;\nmod b;"),
        Source::new("a.rs", "mod deep;"),
        Source::new("a/deep.rs", ""),
        Source::new("b/mod.rs", "pub(crate) mod c;"),
        Source::new("b/c.rs", ""),
        Source::new("b/d.rs", "// mod d; in b/mod.rs is what is missing"),
        Source::new("deep.rs", ""),
    ];
    assert_eq!(forgotten(&files, "main.rs"), ["b/d.rs", "deep.rs"]);
}
