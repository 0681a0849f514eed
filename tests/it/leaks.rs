//! The gateway, its clients and its servers end in every way there is; what is left is counted: nothing.
//!
//! Every process of a server carries a mark in its environment by which it is found wherever it went; guards are found
//! as descendants of the gateway.

mod clients;
mod cycles;
mod kills;
mod orders;

use rustix::process::Signal;

use crate::support::census::{self, Census};
use crate::support::{Client, Gateway, Process, text_of};

/// A server that wants to be left behind, and how many processes it is.
#[derive(Debug, Clone, Copy)]
enum Nuisance {
    /// Deaf to everything, with a child in its group and a daemon in a session of its own that keeps the pipe.
    Deaf,
    /// The same behind a shell that waits for it, as `npx` does.
    Wrapped,
    /// Well-behaved, behind two shells.
    Polite,
}

const MOCK: &str = env!("CARGO_BIN_EXE_portcullis");

impl Nuisance {
    const ALL: [Self; 3] = [Self::Deaf, Self::Wrapped, Self::Polite];

    fn processes(self) -> usize {
        match self {
            Self::Deaf => 3,
            Self::Wrapped => 4,
            Self::Polite => 3,
        }
    }

    /// Returns its table in the configuration, marked for the census.
    fn table(self, census: &Census, more: &str) -> String {
        let deaf = "--grandchild --daemon --ignore-sigterm --ignore-eof";
        // The `; exit` keeps a shell from becoming what it starts.
        let script = match self {
            Self::Deaf => return server(MOCK, &[&["mock-server"], &*split(deaf)].concat(), census, more),
            Self::Wrapped => format!("'{MOCK}' mock-server {deaf}; exit $?"),
            Self::Polite => format!("sh -c \"'{MOCK}' mock-server; exit\"; exit $?"),
        };
        server("sh", &["-c", &script], census, more)
    }
}

fn split(text: &str) -> Vec<&str> {
    text.split(' ').collect()
}

fn server(command: &str, arguments: &[&str], census: &Census, more: &str) -> String {
    let mark = census.mark();
    format!(
        "[servers.mock]\ncommand = {command:?}\nargs = {arguments:?}\nenv = {{ MARK = {mark:?} }}\n{more}\n"
    )
}

/// A gateway whose server runs in full, and all processes under it.
struct Scene {
    census: Census,
    gateway: Gateway,
    guard: Process,
    server: Process,
    all: Vec<Process>,
}

impl Scene {
    async fn set(nuisance: Nuisance, top: &str, more: &str) -> Self {
        let census = Census::new();
        let gateway = Gateway::start(&format!("{top}\n{}", nuisance.table(&census, more)));
        let mut client = Client::open(&gateway, "mock").await;
        let answer = client.call("echo", serde_json::json!({ "text": "up" })).await;
        assert!(text_of(&answer).contains("up"));
        census::until(|| census.count() == nuisance.processes());
        let all = gateway.process().descendants();
        let marked = census.alive();
        let server = all
            .iter()
            .find(|process| marked.contains(&process.pid()))
            .copied()
            .expect("the server runs");
        let guard = Process::find(census::parent(server.pid()).expect("it has one")).expect("the guard runs");
        Self {
            census,
            gateway,
            guard,
            server,
            all,
        }
    }

    /// Ends the gateway and counts what is left.
    fn end_by(self, blow: impl FnOnce(Process)) -> std::process::ExitStatus {
        let status = self.gateway.end_by(blow);
        assert_none_left(&self.census, &self.all);
        status
    }
}

#[track_caller]
fn assert_none_left(census: &Census, all: &[Process]) {
    census.await_none();
    for process in all {
        assert!(
            process.ends_within(crate::support::LIMIT),
            "process {} is left",
            process.pid()
        );
    }
}

fn kill(process: Process) {
    process.signal(Signal::KILL);
}
