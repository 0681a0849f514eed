//! The command line for itself: what it prints, and that it does not depend on who reads that.

use std::fs;
use std::io::PipeWriter;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Process, eventually};

/// A directory of its own with a configuration of one server; it goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-it-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        let state = path.join("state").display().to_string();
        let text = format!(
            "state-dir = {state:?}\n[servers.mock]\ncommand = \"@self\"\nargs = [\"mock-server\"]\nautostart = true\n"
        );
        fs::write(path.join("portcullis.toml"), text).expect("the directory is ours");
        Self(path)
    }

    /// Returns the program in this directory, whose configuration it finds by itself.
    fn portcullis(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        command
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A pipe whose reader has gone.
fn unread() -> PipeWriter {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_a_flag_says_is_text_and_is_named_once() {
    let directory = Directory::new("flags");
    let check = |flags: &[&str]| {
        let arguments = flags.iter().flat_map(|flag| ["--set", flag]);
        let arguments: Vec<&str> = ["check"].into_iter().chain(arguments).collect();
        said(
            directory
                .portcullis(&arguments)
                .output()
                .expect("it has been built"),
        )
    };
    let (code, printed, complaint) = check(&[
        "http.body-max=1024",
        "http.allowed-hosts=a,b",
        "requests.batch-max=7",
        "servers.mock.version=2",
        "servers.mock.display-name=1.50",
    ]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = printed.lines().map(words).collect();
    for line in [
        "http.body-max \"1024\" flag",
        "http.allowed-hosts [\"a\",\"b\"] flag",
        "requests.batch-max 7 flag",
        "servers.mock.version \"2\" flag",
        "servers.mock.display-name \"1.50\" flag",
        "the configuration is valid: 1 server",
    ] {
        assert!(lines.iter().any(|printed| printed == line), "{line}\n{printed}");
    }
    let (code, printed, complaint) = check(&["http.body-max=huge", "bodymax=1"]);
    assert_eq!(
        (code, printed.as_str(), complaint.as_str()),
        (
            Some(1),
            "",
            "portcullis: the configuration is not valid:\n\
             flag: bodymax: unknown key; remove it\n\
             flag: http.body-max: expected a size such as \"16MiB\", from 1KiB to 4GiB, found \"huge\"\n"
        )
    );
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let directory = Directory::new("head");
    let checked = directory.portcullis(&["check"]).stdout(unread()).output();
    assert_eq!(
        said(checked.expect("it has been built")),
        (Some(0), String::new(), String::new())
    );
}

#[tokio::test]
async fn a_gateway_serves_where_nobody_reads_what_it_says() {
    let directory = Directory::new("unread");
    let serving = directory
        .portcullis(&["--listen", "127.0.0.1:0"])
        .stdout(unread())
        .stderr(unread())
        .spawn();
    let mut child = serving.expect("it has been built");
    let process = Process::find(child.id()).expect("it is not reaped yet");
    let address = || {
        let text = fs::read_to_string(directory.0.join("state/gateway.json")).ok()?;
        let addresses: Value = serde_json::from_str(&text).ok()?;
        Some(addresses["address"].as_str()?.to_owned())
    };
    let address = eventually("it says where it listens", address, Option::is_some).await;
    TcpStream::connect(address.expect("just seen")).expect("it listens");
    // The log has been written to by then, and is again at the end.
    process.signal(rustix::process::Signal::TERM);
    let status = tokio::task::spawn_blocking(move || child.wait().expect("it is our child"));
    assert_eq!(status.await.expect("no panic").code(), Some(0));
}
