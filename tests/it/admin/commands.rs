//! The command line, run for real against a gateway on a port that nobody chose.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{gateway, mock};
use crate::support::{Client, Gateway};

fn command(gateway: &Gateway, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .arg("--config")
        .arg(gateway.directory().join("portcullis.toml"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command and returns its exit code, what it printed and what it complained of.
pub(super) async fn run(gateway: &Gateway, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command(gateway, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it has been built"));
    of_output(output.await.expect("no panic"))
}

fn of_output(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

fn done(text: &str) -> (i32, String, String) {
    (0, text.to_owned(), String::new())
}

fn refused(code: i32, text: &str) -> (i32, String, String) {
    (code, String::new(), format!("portcullis: {text}\n"))
}

#[tokio::test]
async fn servers_are_listed_ordered_about_and_explained() {
    // The variable is there for the gateway's configuration alone: the command line needs none of them.
    let gateway = gateway("[servers.absent]\ncommand = \"/nowhere/x\"\nargs = [\"${UNSET_EVERYWHERE:-}\"]\n");
    let (code, table, _) = run(&gateway, &["servers"]).await;
    assert_eq!(code, 0);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = table.lines().map(words).collect();
    assert_eq!(
        lines,
        [
            "NAME STATUS STATE PHASE PID SESSIONS RESTARTS UPTIME PATH",
            "absent enabled disconnected stopped - 0 0 - /mcp/absent",
            "mock enabled disconnected stopped - 0 0 - /mcp/mock",
        ]
    );
    let again = "server mock: it is running already; restart starts it anew (invalid_state)";
    for (verb, expect) in [
        ("start", done("mock is enabled, ready\n")),
        ("start", refused(1, again)),
        ("restart", done("mock is enabled, ready\n")),
        ("stop", done("mock is enabled, stopped\n")),
        ("disable", done("mock is disabled, stopped\n")),
        ("enable", done("mock is enabled, stopped\n")),
    ] {
        assert_eq!(run(&gateway, &["server", verb, "mock"]).await, expect, "{verb}");
    }
}

#[tokio::test]
async fn a_server_is_shown_and_its_trouble_explained() {
    let gateway = gateway("[servers.absent]\ncommand = \"/nowhere/x\"\n");
    let (code, _, complaint) = run(&gateway, &["server", "start", "absent"]).await;
    assert!(
        code == 1 && complaint.contains("absent is failed: it could not be started"),
        "{complaint}"
    );
    let (code, shown, _) = run(&gateway, &["server", "show", "mock"]).await;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((code, &shown["name"]), (0, &json!("mock")));
    let (code, _, complaint) = run(&gateway, &["server", "show", "no such"]).await;
    assert!(code == 1 && complaint.contains("server_not_found"), "{complaint}");
    assert_eq!(
        run(&gateway, &["stderr", "absent"]).await,
        done("instance 1 (failed)\n")
    );
    let (code, _, _) = run(&gateway, &["server", "explode", "mock"]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn a_server_is_registered_from_a_file_or_from_standard_input() {
    let gateway = gateway("");
    let file = gateway.directory().join("late.json");
    std::fs::write(&file, mock("late").to_string()).expect("the directory is ours");
    let file = file.display().to_string();
    let register = ["server", "register", &file];
    assert_eq!(
        run(&gateway, &register).await,
        done("late registered at /mcp/late\n")
    );
    let (code, _, complaint) = run(&gateway, &register).await;
    assert!(code == 1 && complaint.contains("duplicate_server"), "{complaint}");
    Client::open(&gateway, "late").await.close().await;
    assert_eq!(
        run(&gateway, &["server", "unregister", "late"]).await,
        done("late unregistered\n")
    );

    let mut command = command(&gateway, &["server", "register", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it has been built");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(b"{\"name\":\"x\",\"comand\":\"y\"}")
        .expect("it reads");
    drop(stdin);
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"));
    let (code, _, complaint) = of_output(output.await.expect("no panic"));
    assert_eq!(code, 1);
    assert!(
        complaint.contains("comand: ") && complaint.contains("(invalid_registration)"),
        "{complaint}"
    );
}

#[tokio::test]
async fn the_status_is_shown() {
    let gateway = gateway("");
    let (code, text, _) = run(&gateway, &["status"]).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((code, lines.len()), (0, 11), "{text}");
    assert_eq!(
        lines[4],
        "servers    0 connected, 0 disabled, 1 disconnected, 0 error"
    );
    assert_eq!(
        lines[7..10],
        [
            "in flight  0",
            "suspended  0",
            "cache      0 answers, 0 bytes, 0 hits, 0 misses"
        ]
    );
    let (_, json, _) = run(&gateway, &["status", "--json"]).await;
    let status: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(lines[1], format!("pid        {}", status["pid"]));
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let gateway = gateway("");
    let client = Client::open(&gateway, "mock").await;
    let (_, listed, _) = run(&gateway, &["sessions", "--json"]).await;
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let handle = listed["sessions"][0]["handle"].as_str().expect("text").to_owned();
    let (_, table, _) = run(&gateway, &["sessions"]).await;
    assert!(
        table.contains(&handle) && !table.contains(client.session()),
        "{table}"
    );
    let ended = format!("session {handle} ended\n");
    assert_eq!(run(&gateway, &["sessions", "--end", &handle]).await, done(&ended));
    let (code, _, complaint) = run(&gateway, &["sessions", "--end", &handle]).await;
    assert!(
        code == 1 && complaint.contains("session_not_found"),
        "{complaint}"
    );
    let (code, _, complaint) = run(&gateway, &["sessions", "--end", "../servers/mock"]).await;
    assert!(code == 1 && complaint.contains("is no handle"), "{complaint}");
}

#[tokio::test]
async fn events_are_followed_until_the_gateway_stops() {
    let gateway = gateway("");
    let mut following = command(
        &gateway,
        &["events", "--after", "0", "--server", "mock", "--json"],
    )
    .stdout(Stdio::piped())
    .spawn()
    .expect("it has been built");
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    let (first, mut lines) = tokio::task::spawn_blocking(move || (lines.next(), lines))
        .await
        .expect("no panic");
    let event: Value = serde_json::from_str(&first.expect("a line").expect("UTF-8")).expect("JSON");
    assert_eq!(
        (&event["id"], &event["type"]),
        (&json!(1), &json!("server.registered"))
    );
    run(&gateway, &["server", "disable", "mock"]).await;
    gateway.stop().await;
    let rest = tokio::task::spawn_blocking(move || {
        let rest: Vec<Value> = lines
            .by_ref()
            .map(|line| serde_json::from_str(&line.expect("UTF-8")).expect("JSON"))
            .collect();
        (rest, following.wait().expect("it ends"))
    });
    let (rest, status) = rest.await.expect("no panic");
    assert_eq!(rest[0]["type"], "server.status.changed");
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn without_a_gateway_it_says_so_and_sends_no_token() {
    let gateway = gateway("");
    let directory = gateway.directory().to_owned();
    let address = gateway.address();
    let wrong = format!("--listen={address}");
    let (code, _, _) = run(&gateway, &["servers", &wrong]).await;
    assert_eq!(code, 0, "an address that is named is believed");
    let kept = std::env::temp_dir().join(format!("portcullis-it-kept-{}", std::process::id()));
    std::fs::create_dir_all(&kept).expect("the temporary directory is writable");
    let state = kept.join("state");
    std::fs::rename(directory.join("state"), &state).expect("one file system");
    std::fs::copy(directory.join("portcullis.toml"), kept.join("portcullis.toml")).expect("it is ours");
    // As a gateway leaves it that was killed: the address is there, and nobody holds the lock.
    let text = std::fs::read_to_string(state.join("gateway.json")).expect("it runs");
    gateway.stop().await;
    std::fs::write(state.join("gateway.json"), text).expect("it is ours");
    let ask = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let set = format!("state-dir={}", state.display());
        command
            .args(["servers", "--set", &set, "--config"])
            .arg(kept.join("portcullis.toml"))
            .args(more);
        of_output(command.output().expect("it has been built"))
    };
    let (code, _, complaint) = ask(&[]);
    assert!(
        code == 3 && complaint.contains("no gateway is running with the state directory"),
        "{complaint}"
    );
    let (code, _, complaint) = ask(&[&wrong]);
    assert!(
        code == 3 && complaint.contains("no gateway answers at"),
        "{complaint}"
    );
    std::fs::remove_dir_all(&kept).expect("it is ours");
}
