//! What the mock server does wrong on demand, and what it does right under load.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::driver::{LATEST, Mock, PATIENCE, command, lines_of, text};

#[test]
fn what_waits_holds_up_nobody() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    let slow = mock.begin_call("sleep", json!({ "ms": 200 }));
    assert_eq!(
        mock.call_text("echo", json!({ "a": [1.0, "x"] })),
        r#"{"a":[1.0,"x"]}"#
    );
    let answer = mock.next();
    assert_eq!(
        (&answer["id"], text(&answer["result"])),
        (&slow.into(), "slept 200 ms")
    );
}

#[test]
fn delayed_answers_wait_together() {
    let mut mock = Mock::start(&["--delay", "400", "--delay-jitter", "50"]);
    let begun = Instant::now();
    for _ in 0..50 {
        mock.begin("ping", json!({}));
    }
    let mut ids: Vec<u64> = (0..50).map(|_| mock.next()["id"].as_u64().unwrap()).collect();
    let elapsed = begun.elapsed();
    ids.sort_unstable();
    assert_eq!(ids, (1..=50).collect::<Vec<u64>>());
    assert!(
        elapsed >= Duration::from_millis(400) && elapsed < Duration::from_secs(15),
        "{elapsed:?}"
    );
}

#[test]
fn a_client_that_writes_everything_before_it_reads_is_served() {
    let mut child = command(&[]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let padding = "p".repeat(200 * 1024);
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for id in 0..200 {
            let params = json!({ "name": "echo", "arguments": { "id": id, "padding": padding } });
            let request = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
            writeln!(stdin, "{request}").expect("the mock reads");
        }
        tx.send(stdin).expect("the test waits");
    });
    let stdin = rx
        .recv_timeout(PATIENCE)
        .expect("40 MB were taken while nobody read 40 MB of answers");
    let answers = lines_of(child.stdout.take().unwrap());
    for id in 0..200 {
        let line = answers.recv_timeout(PATIENCE).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id);
        assert!(line.len() > 200 * 1024);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn ten_megabytes_go_both_ways() {
    let mut mock = Mock::start(&[]);
    let padding = "0123456789".repeat(1 << 20);
    let echoed = mock.call_text("echo", json!({ "padding": padding }));
    assert!(
        serde_json::from_str::<Value>(&echoed).unwrap() == json!({ "padding": padding }),
        "the text came back changed"
    );
    assert_eq!(
        mock.call_text("big", json!({ "bytes": 10 << 20 })).len(),
        10 << 20
    );
}

fn two_of_three_pings_are_answered(mock: &mut Mock) {
    for _ in 0..3 {
        mock.begin("ping", json!({}));
    }
    assert_eq!((&mock.next()["id"], &mock.next()["id"]), (&1.into(), &2.into()));
    mock.expect_end_of_output();
}

#[test]
fn a_crash_comes_when_it_was_ordered_and_after_the_answers_before_it() {
    let mut mock = Mock::start(&["--crash-after", "3", "--exit-code", "7"]);
    two_of_three_pings_are_answered(&mut mock);
    assert_eq!(mock.wait().code(), Some(7));

    let mut mock = Mock::start(&["--crash-on", "initialize", "--exit-code", "0"]);
    mock.begin("initialize", json!({}));
    mock.expect_end_of_output();
    assert_eq!(mock.wait().code(), Some(0));
}

#[test]
fn the_crash_tools_end_the_process() {
    let mut mock = Mock::start(&["--exit-code", "5"]);
    assert_eq!(
        mock.call_text("crash_after", json!({ "ms": 20 })),
        "crashes in 20 ms"
    );
    mock.expect_end_of_output();
    assert_eq!(mock.wait().code(), Some(5));

    let mut mock = Mock::start(&[]);
    mock.begin_call("crash", json!({ "code": 42 }));
    mock.expect_end_of_output();
    assert_eq!(mock.wait().code(), Some(42));

    let mut mock = Mock::start(&[]);
    mock.begin_call("crash", json!({ "abort": true }));
    mock.expect_end_of_output();
    assert_eq!(mock.wait().code(), None);
}

#[test]
fn a_hanging_method_stays_unanswered_while_others_work() {
    let mut mock = Mock::start(&["--hang-handshake", "--hang-on", "tools/list"]);
    mock.begin("initialize", json!({}));
    mock.begin("tools/list", json!({}));
    mock.begin_call("hang", json!({}));
    mock.request("ping", json!({}));
    mock.close();
    mock.expect_end_of_output();
}

#[test]
fn broken_output_is_broken_as_ordered() {
    let mut mock = Mock::start(&[
        "--garbage-every=2",
        "--duplicate-answers",
        "--unknown-ids",
        "--malformed-on=prompts/list",
        "--oversized-on=resources/list",
        "--oversized-bytes=3000000",
    ]);
    mock.begin("ping", json!({}));
    assert_eq!(mock.next()["id"], "nobody-asked-1");
    assert_eq!(
        (mock.next()["id"].clone(), mock.next()["id"].clone()),
        (1.into(), 1.into())
    );
    mock.begin("prompts/list", json!({}));
    assert!(mock.next_line().starts_with("garbage 2"));
    assert_eq!(mock.next()["id"], "nobody-asked-2");
    let broken = mock.next_line();
    assert!(serde_json::from_str::<Value>(&broken).is_err(), "{broken}");
    assert_eq!(mock.next_line(), broken);
    mock.begin("resources/list", json!({}));
    mock.next();
    assert_eq!(mock.next()["result"].to_string().len(), 3_000_000);
}

#[test]
fn unasked_noise_comes_on_both_pipes() {
    let arguments = ["--notify-every=5", "--stderr=hello there", "--stderr-flood=2000"];
    let mut mock = Mock::initialized(&arguments, LATEST, json!({}));
    for number in 1..=3 {
        let message = mock.next();
        assert_eq!(message["method"], "notifications/message");
        assert_eq!(message["params"]["data"]["number"], number);
    }
    assert_eq!(mock.stderr.recv_timeout(PATIENCE).unwrap(), "hello there");
    for number in 0..100 {
        let expected = format!("mock-server: flood line {number}");
        assert_eq!(mock.stderr.recv_timeout(PATIENCE).unwrap(), expected);
    }
}

#[test]
fn beyond_its_limits_it_gives_up_with_an_explanation() {
    let mut mock = Mock::start(&["--input-max", "1000000"]);
    // It may be gone before all is written.
    let _ = mock.stdin.as_mut().unwrap().write_all(&vec![b'x'; 3_000_000]);
    mock.expect_end_of_output();
    let why: String = mock.stderr.iter().collect();
    assert!(why.contains("longer than 1000000 bytes"), "{why}");
    assert_eq!(mock.wait().code(), Some(1));

    let mut child = command(&["--output-max", "1000000"]).spawn().unwrap();
    let call = json!({ "name": "big", "arguments": { "bytes": 2_000_000 } });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call });
    writeln!(child.stdin.as_ref().unwrap(), "{request}").unwrap();
    let mut why = String::new();
    child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
    assert!(why.contains("does not read"), "{why}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn standard_output_closes_while_the_process_lives() {
    let mut mock = Mock::start(&["--close-stdout-after", "2"]);
    two_of_three_pings_are_answered(&mut mock);
    assert!(mock.child.try_wait().unwrap().is_none());
    mock.close();
    assert_eq!(mock.wait().code(), Some(0));
}
