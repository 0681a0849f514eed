//! One of the two programs compared: a running server, where it listens, and its end.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const ANNOUNCEMENT: &str = "listening on http://";
const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A server under load; it is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Side {
    process: Child,
    address: SocketAddr,
    directory: Option<PathBuf>,
}

impl Side {
    /// Starts the bare bridge.
    pub(crate) fn yardstick() -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--yardstick");
        Self::start(command, None)
    }

    /// Starts the gateway with one shared server of each era, which is the same child as the yardstick's.
    pub(crate) fn portcullis(executable: &Path) -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("portcullis-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let config = directory.join("portcullis.json");
        std::fs::write(&config, configuration(&directory)?)?;
        let mut command = Command::new(executable);
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .args(["--listen", "127.0.0.1:0"]);
        Self::start(command, Some(directory))
    }

    fn start(mut command: Command, directory: Option<PathBuf>) -> io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let process = command.spawn()?;
        // From here on dropping it stops the process and removes the directory.
        let mut side = Self {
            process,
            address: SocketAddr::from(([0; 4], 0)),
            directory,
        };
        side.address = announced_address(&mut side.process)?;
        Ok(side)
    }

    /// Returns the process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Returns where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the path of the endpoint for clients of an era; the yardstick does not look at it.
    pub(crate) fn path(&self, is_modern: bool) -> &'static str {
        match is_modern {
            true => "/mcp/modern",
            false => "/mcp/bench",
        }
    }

    /// Asks the process to end, and insists after a while.
    fn stop(&mut self) -> io::Result<()> {
        drop(self.process.stdin.take());
        if self.process.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        }
        let limit = Instant::now() + STOP_LIMIT;
        while self.process.try_wait()?.is_none() {
            if Instant::now() > limit {
                self.process.kill()?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!(
                "bench: process {} could not be stopped: {error}",
                self.process.id()
            );
        }
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// Returns the gateway's configuration, as JSON so that any path is quoted rightly.
fn configuration(directory: &Path) -> io::Result<String> {
    let executable = std::env::current_exe()?;
    let server = |era| {
        serde_json::json!({
            "command": executable,
            "args": ["--child"],
            "sharing": "shared",
            "protocol-era": era,
        })
    };
    let servers = serde_json::json!({ "bench": server("legacy"), "modern": server("modern") });
    let config = serde_json::json!({ "state-dir": directory.join("state"), "servers": servers });
    Ok(config.to_string())
}

/// Reads the process's output until it says where it listens, and goes on draining it afterwards.
fn announced_address(process: &mut Child) -> io::Result<SocketAddr> {
    let (tx, rx) = mpsc::channel();
    let stdout = process.stdout.take().expect("stdout is piped");
    let stderr = process.stderr.take().expect("stderr is piped");
    let stdout_tx = tx.clone();
    thread::spawn(move || drain(stdout, &stdout_tx));
    thread::spawn(move || drain(stderr, &tx));
    let (limit, mut said) = (Instant::now() + START_LIMIT, String::new());
    while let Ok(line) = rx.recv_timeout(limit.saturating_duration_since(Instant::now())) {
        if let Some(address) = address_in(&line) {
            return Ok(address);
        }
        said.push_str(&line);
        said.push('\n');
    }
    Err(io::Error::other(format!(
        "the server did not say where it listens; it said:\n{said}"
    )))
}

fn drain(output: impl io::Read, lines: &mpsc::Sender<String>) {
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        // Nobody listens any more once the address is known.
        let _ = lines.send(String::from_utf8_lossy(&line).into_owned());
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find(ANNOUNCEMENT)? + ANNOUNCEMENT.len()..];
    let end = rest
        .find(|next: char| !(next.is_ascii_digit() || ".:[]".contains(next)))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}
