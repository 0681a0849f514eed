//! Drives one MCP server over Streamable HTTP with the published Rust SDK and reports each check as one JSON line.
//!
//! usage: `compat-rmcp-client --server NAME --url URL [--era legacy|modern] [--directory DIR]`
//!
//! It keeps no transcript: the SDK's types do not keep what they do not know, so nothing could be compared.

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

use std::collections::HashMap;
use std::process::ExitCode;

use crate::probe::Probe;

/// Reads `--name value` pairs; anything else is a mistake in the runner.
fn options() -> Result<HashMap<String, String>, String> {
    let mut words = std::env::args().skip(1);
    let mut options = HashMap::new();
    while let Some(word) = words.next() {
        let name = word
            .strip_prefix("--")
            .ok_or_else(|| format!("unexpected argument {word}"))?;
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        options.insert(name.to_owned(), value);
    }
    Ok(options)
}

async fn run(options: &HashMap<String, String>) -> Result<bool, String> {
    let option = |name: &str| {
        options
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| format!("--{name} is missing"))
    };
    let server = option("server")?;
    let era = options.get("era").map_or("legacy", String::as_str);
    let Some(mut probe) = Probe::connect(server, option("url")?, era).await else {
        return Ok(false);
    };
    match server {
        "everything" => everything::full(&mut probe).await,
        "everything-plain" => everything::plain(&mut probe).await,
        "filesystem" => small::filesystem(&mut probe, option("directory")?).await,
        "memory" => small::memory(&mut probe).await,
        "time" => small::time(&mut probe).await,
        "mock" => asking::mock(&mut probe).await,
        other => return Err(format!("unknown server {other}")),
    }
    Ok(probe.close().await)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match options() {
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
