//! `portcullis stdio`: serves one client on standard input and output, for clients that can only start programs. With
//! `--url` its one server is a remote one, such as a gateway that runs already.

mod remote;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ConfigArgs;
use super::serve::{Signals, load, loader, source};
use super::welcome::welcome;
use crate::app::pipes::{Pipes, find_endpoint, keep_servers_of, speak};
use crate::app::{App, ConfigSource, state_dir};
use crate::config::Config;
use crate::session::OutboxReader;
use crate::telemetry;

/// What is served, and how.
#[derive(Debug, clap::Args)]
pub(super) struct StdioArgs {
    /// The server or route to serve; may be left out where there is only one
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// The URL of a running gateway's endpoint, or of any other MCP server over HTTP or WebSocket, to serve that instead
    #[arg(long, value_name = "URL", conflicts_with = "server")]
    url: Option<String>,
    /// A header of every request to it; ${VAR} is filled in from the environment. May be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", requires = "url")]
    headers: Vec<String>,
    /// The mode of the client
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
}

/// How long the client gets to read the last messages.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs until the client closes standard input, or SIGTERM or SIGINT; a signal after that hurries.
///
/// # Errors
/// The configuration is not valid, or does not say what to serve.
pub(super) fn run(options: &ConfigArgs, args: &StdioArgs) -> anyhow::Result<ExitCode> {
    let loader = match &args.url {
        Some(url) => remote::loader(options, url, &args.headers)?,
        None => loader(options)?,
    };
    let loaded = load(&loader)?;
    let wanted = args
        .url
        .as_ref()
        .map_or(args.server.as_deref(), |_| Some(remote::NAME));
    let endpoint = find_endpoint(&loaded.config, wanted)?;
    telemetry::start(&loaded.config.log).map_err(anyhow::Error::msg)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let listens = options.listen.is_some();
    let mut source = source(loader, loaded);
    if !listens {
        if args.url.is_none() {
            point_to_running(&source.first.config, &endpoint);
        }
        source = only_servers_of(source, &endpoint);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let signals = Signals::new().context("cannot listen for signals")?;
        // Descendants of a guard that was killed come to us; nobody else would end them.
        #[cfg(target_os = "linux")]
        crate::upstream::launch::become_subreaper().context("cannot become a subreaper")?;
        let app = start(source, listens).await?;
        match app.open_pipes(&endpoint, args.mode.as_deref()).await {
            Ok((pipes, reader)) => serve(app, pipes, reader, signals).await,
            Err(error) => {
                app.stop("there is nothing to serve", CancellationToken::new())
                    .await;
                return Err(error.into());
            }
        }
        Ok(ExitCode::SUCCESS)
    });
    // A read of standard input that is under way cannot be taken back, and is not waited for.
    runtime.shutdown_background();
    code
}

/// Returns the configuration with those servers alone to which an endpoint leads, now and when it is read again.
fn only_servers_of(source: ConfigSource, endpoint: &str) -> ConfigSource {
    let ConfigSource { mut first, read } = source;
    keep_servers_of(&mut first.config, endpoint);
    let endpoint = endpoint.to_owned();
    let read = move || {
        let mut loaded = read()?;
        keep_servers_of(&mut loaded.config, &endpoint);
        Ok(loaded)
    };
    ConfigSource {
        first,
        read: Arc::new(read),
    }
}

/// Says where the same servers run already: a second gateway runs them a second time.
fn point_to_running(config: &Config, endpoint: &str) {
    if let Ok(addresses) = state_dir::addresses(&config.state_dir) {
        let url = format!("http://{}/mcp/{endpoint}", addresses.address);
        info!("a gateway runs already; to share its processes: portcullis stdio --url {url}");
    }
}

#[expect(clippy::print_stderr, reason = "standard output is the client's")]
async fn start(source: ConfigSource, listens: bool) -> anyhow::Result<App> {
    if !listens {
        return Ok(App::start_silent(source).await?);
    }
    let app = App::start_following(source).await?;
    eprintln!("{}", welcome(&app).trim_end());
    Ok(app)
}

/// Serves the client, and ends everything when it is gone.
async fn serve(app: App, pipes: Pipes, reader: OutboxReader, mut signals: Signals) {
    let pipes = Arc::new(pipes);
    let mut speaking = tokio::spawn(speak(reader, tokio::io::stdout()));
    let listener = pipes.clone();
    let mut listening = tokio::spawn(async move { listener.listen(tokio::io::stdin()).await });
    let hurry = CancellationToken::new();
    let cause = tokio::select! {
        _ = &mut listening => "the client closed standard input",
        _ = &mut speaking => {
            hurry.cancel();
            "nobody reads standard output, or the session has ended"
        }
        signal = signals.end(|| {}) => signal,
    };
    let second = hurry.clone();
    let waiting = tokio::spawn(async move {
        signals.end(|| {}).await;
        warn!("a further signal: hurrying");
        second.cancel();
    });
    // What is in flight is answered first, and the client's answers are still taken.
    app.stop(cause, hurry).await;
    if !speaking.is_finished() && tokio::time::timeout(LAST_WORDS, &mut speaking).await.is_err() {
        warn!("the client did not read its last messages");
        speaking.abort();
    }
    listening.abort();
    waiting.abort();
    drop(pipes);
}
