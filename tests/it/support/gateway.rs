//! The real gateway, started on a free port with a configuration of the test's own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::Value;

use super::{Answer, Connection, LIMIT, Process};

const ANNOUNCEMENT: &str = "listening on http://";

/// A running gateway. Dropping it sends SIGTERM, waits for its end, and panics if anything it started lives on.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    process: Process,
    address: SocketAddr,
    directory: PathBuf,
    output: Arc<Mutex<Vec<String>>>,
    has_ended: bool,
}

impl Gateway {
    /// Starts `portcullis serve` with this TOML and waits until it listens.
    ///
    /// The listening address and the state directory are the harness's; `@self` names the executable, so
    /// `command = "@self"` with `args = ["mock-server"]` is the mock.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_in(&[], configuration)
    }

    /// Starts it with these variables in its environment.
    pub(crate) fn start_in(environment: &[(&str, &str)], configuration: &str) -> Self {
        let directory = fresh_directory();
        let file = directory.join("portcullis.toml");
        let state = format!(
            "state-dir = {:?}\n",
            directory.join("state").display().to_string()
        );
        fs::write(&file, state + configuration).expect("the directory is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .env("XDG_CACHE_HOME", directory.join("cache"))
            .envs(environment.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the gateway has been built");
        let process = Process::find(child.id()).expect("it is not reaped yet");
        let output = Arc::default();
        match announced_address(&mut child, &output) {
            Some(address) => Self {
                child,
                process,
                address,
                directory,
                output,
                has_ended: false,
            },
            None => {
                // It has ended, or hangs; either way only its words are left to show.
                let _ = child.kill();
                let _ = child.wait();
                panic!(
                    "the gateway did not say where it listens; it said:\n{}",
                    said(&output)
                );
            }
        }
    }

    /// Starts it with one shared mock server called `mock`, which gets these further arguments, and with
    /// `more` lines for that server's table.
    pub(crate) fn with_mock(arguments: &[&str], more: &str) -> Self {
        let arguments: Vec<&str> = [&["mock-server"], arguments].concat();
        Self::start(&format!(
            "[servers.mock]\ncommand = \"@self\"\nargs = {arguments:?}\nsharing = \"shared\"\n{more}\n"
        ))
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its process.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Reads `/admin/v1/{path}` with the token of the state directory; anything but 200 panics.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let mut connection = Connection::open(self.address).await;
        let answer = self.order_on(&mut connection, Method::GET, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "GET {path}");
        answer.json().await
    }

    /// Asks something of `/admin/v1/{path}`, without a body, and returns the status.
    pub(crate) async fn order(&self, method: Method, path: &str) -> StatusCode {
        let mut connection = Connection::open(self.address).await;
        self.order_on(&mut connection, method, path).await.status()
    }

    /// Changes something of `/admin/v1/{path}` by a merge patch and returns the status.
    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> StatusCode {
        let mut connection = Connection::open(self.address).await;
        let headers = [
            ("authorization", &*self.bearer()),
            ("content-type", "application/json"),
        ];
        let path = format!("/admin/v1/{path}");
        let body = patch.to_string().into();
        connection
            .send(Method::PATCH, &path, &headers, body)
            .await
            .status()
    }

    async fn order_on(&self, connection: &mut Connection, method: Method, path: &str) -> Answer {
        let path = format!("/admin/v1/{path}");
        let headers = [("authorization", &*self.bearer())];
        connection.send(method, &path, &headers, Bytes::new()).await
    }

    fn bearer(&self) -> String {
        let token = fs::read_to_string(self.directory.join("state/admin-token"));
        format!("Bearer {}", token.expect("it is made at first start").trim())
    }

    /// Ends it in a way of the test's own and returns how it ended; what is left is the test's to count.
    pub(crate) fn end_by(mut self, blow: impl FnOnce(Process)) -> ExitStatus {
        blow(self.process);
        assert!(self.process.ends_within(LIMIT), "it lives on:\n{}", self.output());
        self.has_ended = true;
        self.child.wait().expect("it is our child")
    }

    /// Returns the directory of its configuration, `portcullis.toml`, and of its state, `state`.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns what it has written so far.
    pub(crate) fn output(&self) -> String {
        said(&self.output)
    }

    /// Ends it as dropping does, without holding up the test's own tasks, which may be its clients.
    pub(crate) async fn stop(self) {
        let stopped = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(error) = stopped {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    /// Returns what still lives of what lived under the gateway when it was asked to end.
    fn end(&mut self) -> Result<Vec<Process>, String> {
        let children = self.process.descendants();
        self.process.signal(Signal::TERM);
        if !self.process.ends_within(LIMIT) {
            self.process.signal(Signal::KILL);
            self.child.wait().map_err(|error| error.to_string())?;
            return Err(format!("the gateway did not end within {LIMIT:?} of SIGTERM"));
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("the gateway ended with {status}"));
        }
        // A guard ends when it has seen the end of the gateway, which is a moment later.
        let is_left = |child: &Process| !child.ends_within(Duration::from_secs(5));
        Ok(children.into_iter().filter(is_left).collect())
    }
}

#[expect(clippy::print_stderr, reason = "what a failed test has to say")]
impl Drop for Gateway {
    fn drop(&mut self) {
        if self.has_ended {
            let _ = fs::remove_dir_all(&self.directory);
            return;
        }
        let outcome = self.end();
        let _ = fs::remove_dir_all(&self.directory);
        if thread::panicking() {
            eprintln!(
                "the gateway said:\n{}\nand at its end: {outcome:?}",
                self.output()
            );
        } else {
            assert_eq!(
                outcome,
                Ok(Vec::new()),
                "nothing may be left; it said:\n{}",
                self.output()
            );
        }
    }
}

fn fresh_directory() -> PathBuf {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("portcullis-it-{}-{number}", std::process::id()));
    // An earlier process with this number may have been killed before it could clean up.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("the temporary directory is writable");
    directory
}

/// Waits for the line that names the address; none comes when the process ends first or takes too long.
fn announced_address(child: &mut Child, output: &Arc<Mutex<Vec<String>>>) -> Option<SocketAddr> {
    let (tx, rx) = mpsc::channel();
    keep(
        child.stdout.take().expect("stdout is piped"),
        Arc::clone(output),
        tx.clone(),
    );
    keep(
        child.stderr.take().expect("stderr is piped"),
        Arc::clone(output),
        tx,
    );
    rx.recv_timeout(LIMIT).ok()
}

/// Keeps every line that is written, and tells the address when a line names it.
fn keep(
    pipe: impl Read + Send + 'static,
    output: Arc<Mutex<Vec<String>>>,
    address: mpsc::Sender<SocketAddr>,
) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(found) = address_in(&line) {
                // A second announcement (the admin listener's) finds nobody waiting.
                let _ = address.send(found);
            }
            output.lock().expect("no holder panics").push(line);
        }
    });
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(ANNOUNCEMENT)?;
    let end = rest.find(|next: char| !(next.is_ascii_digit() || ".:[]".contains(next)));
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

fn said(output: &Mutex<Vec<String>>) -> String {
    output.lock().expect("no holder panics").join("\n")
}

#[test]
fn the_address_is_found_in_any_line() {
    let address = |text: &str| text.parse::<SocketAddr>().ok();
    assert_eq!(
        address_in("listening on http://127.0.0.1:4100"),
        address("127.0.0.1:4100")
    );
    assert_eq!(
        address_in("INFO x: listening on http://127.0.0.1:9/mcp server=a"),
        address("127.0.0.1:9")
    );
    assert_eq!(
        address_in("listening on http://[::1]:9\u{1b}[0m"),
        address("[::1]:9")
    );
    assert_eq!(address_in("nothing of the kind"), None);
}
