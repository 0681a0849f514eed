//! `portcullis stdio`: what it serves, and that nothing of it is left.

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::Command;

use super::ends::{LATEST, gateway_with, url};
use super::speaker::{Speaker, again};
use crate::support::census::Census;
use crate::support::{Channel, Gateway, text_of, within};

/// A configuration in a directory of its own, which goes with it.
struct Place(std::path::PathBuf);

impl Place {
    fn new(configuration: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("portcullis-stdio-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&directory).expect("the temporary directory is writable");
        let place = Self(directory);
        let state = place.0.join("state").display().to_string();
        let text = format!("state-dir = {state:?}\n{configuration}");
        std::fs::write(place.file(), text).expect("the directory is ours");
        place
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.join("portcullis.toml")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mock(name: &str, arguments: &str, more: &str) -> String {
    format!("[servers.{name}]\ncommand = \"@self\"\nargs = [\"mock-server\"{arguments}]\n{more}\n")
}

/// Runs it to its end without input and returns how it ended and what it said.
async fn failed(place: &Place, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .arg("stdio")
        .arg("--config")
        .arg(place.file())
        .args(arguments);
    let output = within("its end", command.stdin(std::process::Stdio::null()).output()).await;
    let output = output.expect("it has been built");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn the_end_of_input_ends_every_process() {
    let census = Census::new();
    let nuisance = format!("env = {{ MARK = {:?} }}\nstop-grace = \"100ms\"", census.mark());
    let arguments = r#", "--grandchild", "--daemon", "--ignore-sigterm", "--ignore-eof""#;
    let place = Place::new(&mock("mock", arguments, &nuisance));
    let mut channel = Channel::pipes(&place.file(), &[]);
    channel.open(LATEST, json!({})).await;
    assert!(text_of(&channel.call("echo", json!({ "text": "up" })).await).contains("up"));
    assert!(census.count() >= 1);
    let status = channel.end().await.expect("it is a process");
    assert!(status.success(), "{status}");
    census.await_none();
}

#[tokio::test]
async fn a_killed_one_leaves_nothing() {
    let census = Census::new();
    let marked = format!("env = {{ MARK = {:?} }}", census.mark());
    let place = Place::new(&mock("mock", r#", "--grandchild", "--daemon""#, &marked));
    let mut channel = Channel::pipes(&place.file(), &[]);
    channel.open(LATEST, json!({})).await;
    channel.call("echo", json!({ "text": "up" })).await;
    channel.process().signal(Signal::KILL);
    channel.ended().await;
    census.await_none();
}

#[tokio::test]
async fn sigterm_lets_what_is_in_flight_be_answered() {
    let place = Place::new(&mock("mock", "", ""));
    let mut channel = Channel::pipes(&place.file(), &[]);
    channel.open(LATEST, json!({})).await;
    let params = json!({ "name": "progress", "arguments": { "steps": 10, "ms": 50 }, "_meta": { "progressToken": 1 } });
    channel
        .say(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
        .await;
    channel.message().await;
    channel.process().signal(Signal::TERM);
    let messages = channel.up_to(&json!(1)).await;
    assert_eq!(text_of(messages.last().expect("an answer")), "made 10 steps");
    assert_eq!(channel.hear().await, None, "and then it ends");
    let status = channel.ended().await.expect("it is a process");
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_call_is_waited_for_no_longer_than_the_drain_time() {
    let place = Place::new(&format!(
        "http.drain-timeout = \"100ms\"\n{}",
        mock("mock", "", "stop-grace = \"100ms\"")
    ));
    let mut channel = Channel::pipes(&place.file(), &[]);
    channel.open(LATEST, json!({})).await;
    let params = json!({ "name": "hang", "arguments": {} });
    channel
        .say(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }))
        .await;
    channel.close_input().await;
    let answer = channel.message().await;
    assert!(answer["error"]["message"].is_string(), "it is told so: {answer}");
    assert!(channel.ended().await.expect("it is a process").success());
}

#[tokio::test]
async fn one_server_is_served_and_no_other_is_started() {
    let census = Census::new();
    let marked = format!("autostart = true\nenv = {{ MARK = {:?} }}", census.mark());
    let both = mock("one", r#", "--name", "one""#, "") + &mock("two", "", &marked);
    let place = Place::new(&both);
    let mut channel = Channel::pipes(&place.file(), &["--server", "one"]);
    let opened = channel.open(LATEST, json!({})).await;
    assert_eq!(opened["result"]["serverInfo"]["name"], "one", "{opened}");
    assert_eq!(census.count(), 0, "the other one starts with the gateway alone");
    channel.end().await;
    let unclear = failed(&place, &[]).await;
    assert!(unclear.contains("one, two"), "{unclear}");
    let unknown = failed(&place, &["--server", "three"]).await;
    assert!(
        unknown.contains("\"three\"") && unknown.contains("one, two"),
        "{unknown}"
    );
    let no_mode = failed(&place, &["--server", "one", "--mode", "chat"]).await;
    assert!(no_mode.contains("no mode \"chat\""), "{no_mode}");
}

#[tokio::test]
async fn a_line_that_is_too_long_is_answered_and_the_session_goes_on() {
    let place = Place::new(&format!("http.body-max = \"1KiB\"\n{}", mock("mock", "", "")));
    let mut channel = Channel::pipes(&place.file(), &[]);
    channel.open(LATEST, json!({})).await;
    channel.send(&"x".repeat(100_000)).await;
    let refused = channel.message().await;
    assert_eq!(
        (&refused["error"]["code"], &refused["id"]),
        (&json!(-32600), &Value::Null)
    );
    let text = refused["error"]["message"].as_str().expect("a text");
    assert!(text.contains("http.body-max"), "{text}");
    assert!(text_of(&channel.call("echo", json!({ "text": "on" })).await).contains("on"));
    channel.end().await;
}

#[tokio::test]
async fn beside_a_running_gateway_it_says_where_that_is_and_leaves_its_state_alone() {
    let gateway = Gateway::with_mock(&[], "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command
        .arg("stdio")
        .arg("--config")
        .arg(gateway.directory().join("portcullis.toml"));
    let output = within("its end", command.stdin(std::process::Stdio::null()).output()).await;
    let output = output.expect("it has been built");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let hint = format!("portcullis stdio --url http://{}/mcp/mock", gateway.address());
    assert!(said.contains(&hint), "{said}");
    assert_eq!(
        gateway.admin("status").await["draining"],
        false,
        "the running one is still found"
    );
    gateway.stop().await;
}

const TOKEN: &str = "alice-token-0123456789";

#[tokio::test]
async fn the_token_for_a_url_comes_from_the_environment_and_the_session_there_ends_too() {
    let gateway = gateway_with(
        &format!("[anonymous]\nenabled = false\n[principals.alice]\ntoken = \"{TOKEN}\""),
        "",
    );
    let header = ["--header", "Authorization: Bearer ${TOKEN}"];
    let mut channel = Channel::bridge(&url(&gateway), &header, &[("TOKEN", TOKEN)]);
    let opened = channel.open(LATEST, json!({})).await;
    assert!(opened["result"].is_object(), "{opened}");
    let sessions = &gateway.admin("sessions").await["sessions"];
    assert_eq!(sessions[0]["principal"], "alice", "{sessions}");
    assert!(channel.end().await.expect("it is a process").success());
    let none = async { while gateway.admin("sessions").await["sessions"] != json!([]) {} };
    within("the end of the session", none).await;

    let mut nobody = Channel::bridge(&url(&gateway), &[], &[]);
    let refused = nobody.open(LATEST, json!({})).await;
    assert!(refused["error"]["message"].is_string(), "{refused}");
    nobody.end().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_url_may_be_that_of_a_websocket() {
    let gateway = gateway_with("", "");
    let url = url(&gateway).replace("http:", "ws:");
    let mut channel = Channel::bridge(&url, &[], &[]);
    channel.open(LATEST, json!({})).await;
    assert!(text_of(&channel.call("echo", json!({ "text": "here" })).await).contains("here"));
    let sessions = &gateway.admin("sessions").await["sessions"];
    assert_eq!(sessions[0]["transport"], "websocket", "{sessions}");
    channel.end().await;

    let mut client = Speaker::on(Channel::bridge(&url, &[], &[]), json!({ "sampling": {} }));
    assert!(text_of(&client.call("echo", json!({ "text": "there" })).await).contains("there"));
    client.listen("l", json!({ "toolsListChanged": true })).await;
    let (tool, arguments) = ("test_sampling", json!({ "prompt": "capital?" }));
    let said = json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Paris" } });
    let asked = client.call(tool, arguments.clone()).await;
    let answer = client
        .answer("tools/call", again(tool, &arguments, &asked, &said))
        .await;
    assert_eq!(text_of(&answer), "LLM response: Paris", "{answer}");
    client.channel.end().await;
    gateway.stop().await;
}

/// What the README shows is what comes of it.
#[tokio::test]
async fn the_example_of_the_readme_is_answered() {
    let readme = include_str!("../../../README.md");
    let blocks = readme.split("\n```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().expect("a block ends"));
    let examples: Vec<&str> = blocks
        .filter(|block| block.contains("portcullis stdio"))
        .collect();
    assert!(!examples.is_empty(), "there is one");
    let place = Place::new("");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let programs = binary.parent().expect("it is in a directory").display();
    for example in examples {
        let mut command = Command::new("sh");
        command
            .args(["-c", example])
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{programs}:{path}"));
        command
            .env("XDG_STATE_HOME", &place.0)
            .env("XDG_CACHE_HOME", &place.0);
        let output = within("its end", command.output())
            .await
            .expect("there is a shell");
        let answer = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}{said}"));
        assert!(text_of(&answer).contains("hello"), "{answer}");
    }
}
