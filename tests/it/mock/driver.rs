//! A client of the mock server: writes lines, reads lines, waits for events and never for time.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than anything here takes; reaching it is a failure.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A running mock server. It ends with the test.
pub(super) struct Mock {
    pub(super) child: Child,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Receiver<String>,
    pub(super) stderr: Receiver<String>,
    last_id: u64,
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("mock-server").args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(super) fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
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
    pub(super) fn start(arguments: &[&str]) -> Self {
        Self::started(&mut command(arguments))
    }

    pub(super) fn started(command: &mut Command) -> Self {
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

    pub(super) fn initialized(arguments: &[&str], version: &str, capabilities: Value) -> Self {
        let mut mock = Self::start(arguments);
        mock.initialize(version, capabilities);
        mock
    }

    pub(super) fn initialize(&mut self, version: &str, capabilities: Value) -> Value {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": info });
        let result = self.request("initialize", params)["result"].clone();
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        result
    }

    pub(super) fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.stdin
            .as_mut()
            .expect("stdin is open")
            .write_all(bytes)
            .expect("the mock reads");
    }

    /// Sends a request and returns its id, without waiting.
    pub(super) fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    /// Sends a request and returns what comes next, which must be its answer.
    pub(super) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        let answer = self.next();
        assert_eq!(answer["id"], id, "{method}: {answer}");
        answer
    }

    /// Sends a request of the modern era, from a client with these capabilities.
    pub(super) fn begin_modern(&mut self, method: &str, mut params: Value, capabilities: Value) -> u64 {
        let mut meta = modern_meta(capabilities);
        if let Some(Value::Object(more)) = params.get("_meta").cloned() {
            meta.as_object_mut().expect("it is one").extend(more);
        }
        params["_meta"] = meta;
        self.begin(method, params)
    }

    /// Sends a request of the modern era and returns what comes next, which must be its answer.
    pub(super) fn modern(&mut self, method: &str, params: Value, capabilities: Value) -> Value {
        let id = self.begin_modern(method, params, capabilities);
        let answer = self.next();
        assert_eq!(answer["id"], id, "{method}: {answer}");
        answer
    }

    /// Calls a tool in the modern era and returns its result, which must come next.
    pub(super) fn modern_call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        self.modern("tools/call", params, json!({}))["result"].clone()
    }

    pub(super) fn modern_state(&mut self) -> Value {
        serde_json::from_str(text(&self.modern_call("state", json!({})))).expect("the state is JSON")
    }

    pub(super) fn begin_call(&mut self, tool: &str, arguments: Value) -> u64 {
        self.begin("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Calls a tool and returns its result, which must come next.
    pub(super) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))["result"].clone()
    }

    pub(super) fn call_text(&mut self, tool: &str, arguments: Value) -> String {
        text(&self.call(tool, arguments)).to_owned()
    }

    pub(super) fn state(&mut self) -> Value {
        serde_json::from_str(&self.call_text("state", json!({}))).expect("the state is JSON")
    }

    pub(super) fn next_line(&mut self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .expect("the mock says something")
    }

    pub(super) fn next(&mut self) -> Value {
        let line = self.next_line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    pub(super) fn close(&mut self) {
        self.stdin = None;
    }

    /// Waits until standard output ends, and checks that nothing more came.
    pub(super) fn expect_end_of_output(&mut self) {
        assert_eq!(
            self.stdout.recv_timeout(PATIENCE),
            Err(RecvTimeoutError::Disconnected)
        );
    }

    pub(super) fn wait(&mut self) -> ExitStatus {
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

pub(super) fn text(result: &Value) -> &str {
    result["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {result}"))
}

/// The newest version of the handshake era.
pub(super) const LATEST: &str = "2025-11-25";

/// The version without a handshake.
pub(super) const MODERN: &str = "2026-07-28";

/// What a request of the modern era says of its client.
pub(super) fn modern_meta(capabilities: Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
    })
}
