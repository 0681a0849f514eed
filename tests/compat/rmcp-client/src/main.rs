//! Drives one MCP server with the published Rust SDK and reports each check as one JSON line.
//!
//! usage: `compat-rmcp-client --server NAME --transport http --url URL [options]`
//!        `compat-rmcp-client --server NAME --transport stdio [options] -- COMMAND ARGS...`
//! options: `--era legacy|modern`, `--directory DIR`, `--transcript FILE`
//!
//! The transcript holds the results that must be the same whatever lies between the client and the server, as the SDK's
//! types hold them: these do not keep what they do not know.

#![expect(
    deprecated,
    reason = "the handshake era is what is tested, and the SDK has deprecated it"
)]

mod asking;
mod everything;
mod handler;
mod inbox;
mod probe;
mod small;
mod transcript;

use std::collections::HashMap;
use std::process::ExitCode;

use crate::probe::{Place, Probe};

/// What the runner asks for.
struct Options {
    named: HashMap<String, String>,
    /// How the server is started, where it is not at a URL.
    command: Vec<String>,
}

impl Options {
    /// Reads `--name value` pairs and what follows `--`; anything else is a mistake in the runner.
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut named = HashMap::new();
        while let Some(word) = words.next().filter(|word| word != "--") {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("unexpected argument {word}"))?;
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            named.insert(name.to_owned(), value);
        }
        let command = words.collect();
        Ok(Self { named, command })
    }

    fn get(&self, name: &str) -> Result<&str, String> {
        let value = self.named.get(name).map(String::as_str);
        value.ok_or_else(|| format!("--{name} is missing"))
    }

    fn place(&self) -> Result<Place<'_>, String> {
        match (self.get("transport")?, self.command.split_first()) {
            ("http", None) => self.get("url").map(Place::Url),
            ("stdio", Some((program, arguments))) => Ok(Place::Command(program, arguments)),
            (other, _) => Err(format!("no server for the transport {other}")),
        }
    }
}

/// Runs the server's checks and returns whether all passed.
async fn run(options: &Options) -> Result<bool, String> {
    let server = options.get("server")?;
    let era = options.get("era")?;
    let Some(mut probe) = Probe::connect(server, options.place()?, era).await else {
        return Ok(false);
    };
    match server {
        "everything" => everything::full(&mut probe).await,
        "everything-plain" => everything::plain(&mut probe).await,
        "filesystem" => small::filesystem(&mut probe, options.get("directory")?).await,
        "memory" => small::memory(&mut probe).await,
        "time" => small::time(&mut probe).await,
        "mock" => asking::mock(&mut probe).await,
        other => return Err(format!("unknown server {other}")),
    }
    std::fs::write(options.get("transcript")?, probe.transcript()).map_err(|error| error.to_string())?;
    Ok(probe.close().await)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Options::read(std::env::args().skip(1)) {
        Ok(options) => run(&options).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
