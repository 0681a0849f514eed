//! The mock server, as its clients see it: the real binary over pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than anything here takes; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running mock server. It ends with the test.
struct Mock {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    last_id: u64,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("mock-server").args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        lines
            .take_while(|line| tx.send(line.clone()).is_ok())
            .for_each(drop);
    });
    rx
}

impl Mock {
    fn start(arguments: &[&str]) -> Self {
        Self::started(&mut command(arguments))
    }

    fn started(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let stdin = child.stdin.take();
        let stdout = lines_of(child.stdout.take().expect("stdout is a pipe"));
        let stderr = lines_of(child.stderr.take().expect("stderr is a pipe"));
        Self {
            child,
            stdin,
            stdout,
            stderr,
            last_id: 0,
        }
    }

    fn initialized(arguments: &[&str], version: &str, capabilities: Value) -> Self {
        let mut mock = Self::start(arguments);
        mock.initialize(version, capabilities);
        mock
    }

    fn initialize(&mut self, version: &str, capabilities: Value) -> Value {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": info });
        let result = self.request("initialize", params)["result"].clone();
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        result
    }

    fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stdin
            .as_mut()
            .expect("stdin is open")
            .write_all(bytes)
            .expect("the mock reads");
    }

    /// Sends a request and returns its id, without waiting.
    fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request and returns what comes next, which must be its answer.
    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        let answer = self.next();
        assert_eq!(answer["id"], id, "{method}: {answer}");
        answer
    }

    fn begin_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.begin("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Calls a tool and returns its result, which must come next.
    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))["result"].clone()
    }

    fn call_text(&mut self, tool: &str, arguments: Value) -> String {
        text(&self.call(tool, arguments)).to_owned()
    }

    fn state(&mut self) -> Value {
        serde_json::from_str(&self.call_text("state", json!({}))).expect("the state is JSON")
    }

    fn next_line(&mut self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .expect("the mock says something")
    }

    fn next(&mut self) -> Value {
        let line = self.next_line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until standard output ends, and checks that nothing more came.
    fn expect_end_of_output(&mut self) {
        assert_eq!(
            self.stdout.recv_timeout(PATIENCE),
            Err(RecvTimeoutError::Disconnected)
        );
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        // The end of its standard error is the end of the process, or close to it.
        while self
            .stderr
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            .is_ok()
        {}
        self.child.wait().expect("the mock can be waited for")
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {result}"))
}

const LATEST: &str = "2025-11-25";

#[test]
fn every_handshake_version_is_negotiated_with_what_it_knows() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut mock = Mock::start(&["--name", "one", "--server-version", "9"]);
        let result = mock.initialize(version, json!({}));
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"], json!({ "name": "one", "version": "9" }));
        assert_eq!(
            result["capabilities"]["resources"],
            json!({ "subscribe": true, "listChanged": true })
        );
        assert_eq!(result["capabilities"]["logging"], json!({}));
        let knows_completions = version > "2024-11-05";
        assert_eq!(
            result["capabilities"].get("completions").is_some(),
            knows_completions
        );
        let argument = json!({ "name": "arg1", "value": "par" });
        let reference = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
        let answer = mock.request(
            "completion/complete",
            json!({ "ref": reference, "argument": argument }),
        );
        assert_eq!(answer.get("result").is_some(), knows_completions, "{answer}");
    }
    let mut mock = Mock::start(&[]);
    assert_eq!(
        mock.initialize("2026-07-28", json!({}))["protocolVersion"],
        LATEST
    );
    let mut mock = Mock::start(&["--protocol-version", "1999-01-01"]);
    assert_eq!(
        mock.initialize(LATEST, json!({}))["protocolVersion"],
        "1999-01-01"
    );
}

#[test]
fn a_client_is_asked_only_what_it_declared() {
    let mut mock = Mock::initialized(&[], LATEST, json!({ "sampling": {} }));
    let refused = mock.call("test_elicitation", json!({ "message": "name?" }));
    assert_eq!(refused["isError"], true);
    assert!(text(&refused).contains("elicitation capability"), "{refused}");

    let call = mock.begin_call("test_sampling", json!({ "prompt": "capital?" }));
    let question = mock.next();
    assert_eq!(question["method"], "sampling/createMessage");
    assert_eq!(question["params"]["maxTokens"], 100);
    assert_eq!(question["params"]["messages"][0]["content"]["text"], "capital?");
    let content = json!({ "type": "text", "text": "Paris" });
    let result = json!({ "role": "assistant", "content": content, "model": "m" });
    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    let answer = mock.next();
    assert_eq!(
        (&answer["id"], text(&answer["result"])),
        (&call.into(), "LLM response: Paris")
    );

    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }));
    let state = mock.state();
    assert_eq!(
        (&state["responses"], &state["responsesUnmatched"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn elicitation_comes_back_with_action_and_content() {
    let mut mock = Mock::initialized(&[], LATEST, json!({ "elicitation": {} }));
    mock.begin_call("test_elicitation", json!({ "message": "who?" }));
    let question = mock.next();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(
        question["params"]["requestedSchema"]["required"],
        json!(["username", "email"])
    );
    let reply = json!({ "action": "accept", "content": { "username": "u" } });
    mock.send(&json!({ "jsonrpc": "2.0", "id": question["id"], "result": reply }));
    let answer = mock.next();
    assert_eq!(
        text(&answer["result"]),
        "User response: action=accept, content={\"username\":\"u\"}"
    );
}

#[test]
fn a_cancelled_call_is_not_answered_and_takes_its_question_back() {
    let mut mock = Mock::initialized(&[], LATEST, json!({ "roots": {} }));
    let sleeping = mock.begin_call("sleep", json!({ "ms": 3_600_000 }));
    let asking = mock.begin_call("ask", json!({ "method": "roots/list" }));
    let question = mock.next();
    for id in [sleeping, asking] {
        let params = json!({ "requestId": id });
        mock.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    }
    let withdrawn = mock.next();
    assert_eq!(withdrawn["method"], "notifications/cancelled");
    assert_eq!(withdrawn["params"]["requestId"], question["id"]);
    let state = mock.state();
    assert_eq!((&state["cancelled"], &state["running"]), (&2.into(), &0.into()));
}

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
        echoed == json!({ "padding": padding }).to_string(),
        "the text came back changed"
    );
    assert_eq!(
        mock.call_text("big", json!({ "bytes": 10 << 20 })).len(),
        10 << 20
    );
}

#[test]
fn a_crash_comes_when_it_was_ordered_and_after_the_answers_before_it() {
    let mut mock = Mock::start(&["--crash-after", "3", "--exit-code", "7"]);
    for _ in 0..3 {
        mock.begin("ping", json!({}));
    }
    assert_eq!(
        (mock.next()["id"].clone(), mock.next()["id"].clone()),
        (1.into(), 2.into())
    );
    mock.expect_end_of_output();
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
fn input_without_end_of_line_is_answered_and_the_end_of_input_ends_it() {
    let mut mock = Mock::start(&[]);
    mock.write(br#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#);
    mock.close();
    assert_eq!(
        mock.next(),
        json!({ "jsonrpc": "2.0", "id": "last", "result": {} })
    );
    mock.expect_end_of_output();
    assert_eq!(mock.wait().code(), Some(0));
}

#[test]
fn what_is_no_request_is_refused_with_the_right_code() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    for (line, code) in [
        ("{not json", -32700),
        ("[]", -32600),
        ("7", -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nope"}"#, -32601),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"loud"}}"#,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"test://x"}}"#,
            -32002,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"nope"}}"#,
            -32602,
        ),
    ] {
        mock.write(format!("{line}\n").as_bytes());
        let answer = mock.next();
        assert_eq!(answer["error"]["code"], code, "{line} -> {answer}");
    }
    let result = mock.call("sleep", json!({ "ms": "soon" }));
    assert_eq!(
        (&result["isError"], text(&result).contains("ms must")),
        (&true.into(), true)
    );
}

#[test]
fn batches_belong_to_one_version() {
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","id":"b","method":"ping"}]"#;
    let mut mock = Mock::initialized(&[], "2025-03-26", json!({}));
    mock.write(format!("{batch}\n").as_bytes());
    assert_eq!(
        (mock.next()["id"].clone(), mock.next()["id"].clone()),
        ("a".into(), "b".into())
    );
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    mock.write(format!("{batch}\n").as_bytes());
    assert_eq!(mock.next()["error"]["code"], -32600);
}

#[test]
fn updates_go_to_subscribers_and_a_changed_list_is_another_one() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    let watched = json!({ "uri": "test://watched-resource" });
    assert_eq!(mock.call_text("touch", watched.clone()), "nobody subscribed");
    assert_eq!(
        mock.request("resources/subscribe", watched.clone())["result"],
        json!({})
    );
    mock.begin_call("touch", watched.clone());
    let update = mock.next();
    assert_eq!(
        (&update["method"], &update["params"]),
        (&"notifications/resources/updated".into(), &watched)
    );
    assert_eq!(text(&mock.next()["result"]), "updated");
    assert_eq!(mock.state()["subscriptions"], json!(["test://watched-resource"]));
    mock.request("resources/unsubscribe", watched.clone());
    assert_eq!(mock.call_text("touch", watched), "nobody subscribed");

    mock.begin_call("change", json!({ "kind": "tools", "name": "novelty" }));
    assert_eq!(mock.next()["method"], "notifications/tools/list_changed");
    mock.next();
    let tools = mock.request("tools/list", json!({}))["result"]["tools"].clone();
    assert_eq!(tools.as_array().unwrap().last().unwrap()["name"], "novelty");
    assert_eq!(mock.call("novelty", json!({})).get("isError"), None);
}

#[test]
fn log_messages_pass_the_level_and_progress_needs_a_token() {
    let mut mock = Mock::initialized(&[], LATEST, json!({}));
    mock.request("logging/setLevel", json!({ "level": "error" }));
    assert_eq!(
        mock.call_text("log", json!({ "level": "warning", "text": "no" })),
        "logged"
    );
    mock.begin_call("log", json!({ "level": "critical", "text": "yes" }));
    let message = mock.next();
    assert_eq!(
        message["params"],
        json!({ "level": "critical", "logger": "mock", "data": "yes" })
    );
    mock.next();

    assert_eq!(mock.call_text("progress", json!({ "steps": 3 })), "made 3 steps");
    let params =
        json!({ "name": "progress", "arguments": { "steps": 3 }, "_meta": { "progressToken": "t" } });
    mock.begin("tools/call", params);
    for step in 1..=3 {
        let expected = json!({ "progressToken": "t", "progress": step, "total": 3 });
        assert_eq!(mock.next()["params"], expected);
    }
    assert_eq!(text(&mock.next()["result"]), "made 3 steps");

    mock.begin_call(
        "notify",
        json!({ "count": 500, "method": "notifications/prompts/list_changed" }),
    );
    for _ in 0..500 {
        assert_eq!(mock.next()["method"], "notifications/prompts/list_changed");
    }
    mock.next();
    assert_eq!(mock.call_text("count", json!({})), "8");
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
fn the_environment_can_be_looked_at() {
    let mut mock = Mock::started(command(&[]).env_clear().env("ONE", "1"));
    assert_eq!(mock.call_text("env", json!({ "name": "ONE" })), "1");
    assert_eq!(mock.call("env", json!({ "name": "TWO" }))["isError"], true);
    assert_eq!(mock.call_text("env", json!({})), r#"["ONE"]"#);
    assert_eq!(mock.call_text("pid", json!({})), mock.child.id().to_string());
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
    for _ in 0..3 {
        mock.begin("ping", json!({}));
    }
    assert_eq!(
        (mock.next()["id"].clone(), mock.next()["id"].clone()),
        (1.into(), 2.into())
    );
    mock.expect_end_of_output();
    assert!(mock.child.try_wait().unwrap().is_none());
    mock.close();
    assert_eq!(mock.wait().code(), Some(0));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::process::{CommandExt, ExitStatusExt};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{OFlags, fcntl_setfl};
    use rustix::process::{Pid, Signal, getpgid, getsid, kill_process, test_kill_process};

    use super::*;

    fn pid_of(number: u64) -> Pid {
        Pid::from_raw(i32::try_from(number).expect("a pid is small")).expect("a pid is not 0")
    }

    #[test]
    fn neither_sigterm_nor_the_end_of_input_ends_a_deaf_server() {
        let mut mock = Mock::start(&["--ignore-sigterm", "--ignore-eof"]);
        mock.request("ping", json!({}));
        let pid = pid_of(mock.child.id().into());
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(
            mock.stderr.recv_timeout(PATIENCE).unwrap(),
            "mock-server: SIGTERM ignored"
        );
        mock.request("ping", json!({}));
        mock.close();
        // What it says to a second signal, it says after the end of its input, or at least in spite of it.
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(
            mock.stderr.recv_timeout(PATIENCE).unwrap(),
            "mock-server: SIGTERM ignored"
        );
        assert!(mock.child.try_wait().unwrap().is_none());
        kill_process(pid, Signal::KILL).unwrap();
        assert_eq!(mock.wait().signal(), Some(9));

        let mut mock = Mock::start(&[]);
        mock.request("ping", json!({}));
        kill_process(pid_of(mock.child.id().into()), Signal::TERM).unwrap();
        assert_eq!(mock.wait().signal(), Some(15));
    }

    #[test]
    fn descendants_stay_behind_in_the_group_and_outside_of_it() {
        let mut mock = Mock::started(command(&["--grandchild", "--daemon"]).process_group(0));
        let state = mock.state();
        let pids: Vec<Pid> = state["descendants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pid| pid_of(pid.as_u64().unwrap()))
            .collect();
        let leader = pid_of(mock.child.id().into());
        assert_eq!(getpgid(Some(pids[0])).unwrap(), leader);
        assert_eq!(getsid(Some(pids[1])).unwrap(), pids[1]);
        mock.child.kill().unwrap();
        mock.child.wait().unwrap();
        for pid in &pids {
            test_kill_process(*pid).expect("a descendant outlives its parent");
        }
        assert_eq!(
            mock.stdout.recv_timeout(Duration::from_millis(50)),
            Err(RecvTimeoutError::Timeout)
        );
        for pid in &pids {
            kill_process(*pid, Signal::KILL).unwrap();
        }
        mock.expect_end_of_output();
    }

    #[test]
    fn a_server_that_stops_reading_backs_up_its_client() {
        let mut mock = Mock::start(&["--stop-reading-after", "2"]);
        mock.request("ping", json!({}));
        mock.request("ping", json!({}));
        let mut stdin = mock.stdin.take().unwrap();
        fcntl_setfl(&stdin, OFlags::NONBLOCK).unwrap();
        let chunk = [b' '; 4096];
        let mut written = 0;
        let full = loop {
            match stdin.write(&chunk) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
            assert!(written < 64 << 20, "the mock goes on reading");
        };
        assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
        let mut files = [PollFd::new(&stdin, PollFlags::OUT)];
        let while_waiting = Timespec {
            tv_sec: 0,
            tv_nsec: 300_000_000,
        };
        assert_eq!(
            poll(&mut files, Some(&while_waiting)).unwrap(),
            0,
            "the mock goes on reading"
        );
        assert!(mock.child.try_wait().unwrap().is_none());
    }
}
