//! `portcullis serve`: runs the gateway until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ConfigArgs;
use super::output::print;
use super::welcome::welcome;
use crate::app::{App, ConfigSource};
use crate::config::{Loaded, Loader};
use crate::telemetry;

/// Runs until SIGTERM or SIGINT; a second signal hurries. SIGHUP has the configuration and the plugins looked at now.
///
/// # Errors
/// The configuration is not valid, or an address cannot be bound.
pub fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&loader(args)?)?;
    telemetry::start(&loaded.config.log).map_err(anyhow::Error::msg)?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    match &loaded.file {
        Some(file) => {
            info!(file = %file.display(), servers = loaded.config.servers.len(), "configuration loaded");
        }
        None => info!("no configuration file: the defaults and the environment count"),
    }
    let source = source(loader(args)?, loaded);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        // Descendants of a guard that was killed come to us; nobody else would end them.
        #[cfg(target_os = "linux")]
        crate::upstream::launch::become_subreaper().context("cannot become a subreaper")?;
        let app = App::start_following(source).await?;
        // It serves also where nobody reads that it does.
        let _ = print(&welcome(&app));
        let hurry = CancellationToken::new();
        let cause = signals.end(|| app.look_now()).await;
        let second = hurry.clone();
        let waiting = tokio::spawn(async move {
            signals.end(|| {}).await;
            warn!("a second signal: hurrying");
            second.cancel();
        });
        app.stop(cause, hurry).await;
        waiting.abort();
        Ok(ExitCode::SUCCESS)
    })
}

/// Loads a configuration.
pub(super) fn load(loader: &Loader) -> anyhow::Result<Loaded> {
    loader
        .load()
        .map_err(|error| anyhow::anyhow!("the configuration is not valid:\n{error}"))
}

/// Returns what reads the configuration again, from the same file: where that is gone, nothing else is read instead.
pub(super) fn source(mut loader: Loader, first: Loaded) -> ConfigSource {
    loader.file.clone_from(&first.file);
    let read = move || {
        loader
            .load()
            .map_err(|error| format!("the configuration is not valid: {error}"))
    };
    ConfigSource {
        first,
        read: Arc::new(read),
    }
}

/// Returns a loader of the configuration that the arguments mean.
pub(super) fn loader(args: &ConfigArgs) -> anyhow::Result<Loader> {
    let mut flags = Vec::new();
    if let Some(listen) = &args.listen {
        flags.push(("listen".to_owned(), listen.clone()));
    }
    for pair in &args.set {
        let (key, value) = pair
            .split_once('=')
            .with_context(|| format!("--set {pair}: write --set KEY=VALUE"))?;
        flags.push((key.to_owned(), value.to_owned()));
    }
    Ok(Loader {
        file: args.config.clone(),
        flags,
        ..Loader::for_process()
    })
}

/// The signals that end the program.
#[cfg(unix)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to end and returns its name; SIGHUP means to `look`.
    pub(super) async fn end(&mut self, look: impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => look(),
            }
        }
    }
}

#[cfg(windows)]
pub(super) struct Signals;

#[cfg(windows)]
impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn end(&mut self, _look: impl Fn()) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "ctrl-c"
    }
}
