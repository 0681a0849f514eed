//! What the mock can be told to do: the arguments of `portcullis mock-server`.
//!
//! The parser's derive stands here and not in `cli`, so that each option and its help are written once.

use clap::{Args, ValueEnum};

/// The options of the mock server. Without any it is a well-behaved server.
#[derive(Debug, Clone, Args)]
pub struct MockOptions {
    /// Name in serverInfo
    #[arg(long, default_value = "portcullis-mock")]
    pub name: String,
    /// Version in serverInfo
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    pub server_version: String,
    /// Answer initialize with this protocol version, whatever the client asks for (any text)
    #[arg(long, value_name = "VERSION")]
    pub protocol_version: Option<String>,
    /// Which eras of the protocol are spoken: 2024-11-05 to 2025-11-25, 2026-07-28, or each request's own
    #[arg(long, value_enum, default_value_t = Eras::Both, value_name = "ERA")]
    pub era: Eras,
    /// Answer this method as one that is unknown (repeatable)
    #[arg(long, value_name = "METHOD")]
    pub unknown: Vec<String>,
    /// Leave methods unanswered that are unknown before initialize, as some servers of the handshake era do
    #[arg(long)]
    pub silent_probe: bool,
    /// ttlMs of results that may be cached (2026-07-28)
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub ttl_ms: u64,
    /// cacheScope of results that may be cached (2026-07-28)
    #[arg(long, value_enum, default_value_t = CacheScope::Public, value_name = "SCOPE")]
    pub cache_scope: CacheScope,
    /// Offer a tool too whose x-mcp-header is no name of a header; clients over HTTP must not use it
    #[arg(long)]
    pub invalid_header_tool: bool,
    /// Items per page of the list methods (0 = everything in one page)
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub page_size: usize,
    /// Longest input line that is accepted; a longer one ends the server with exit code 1
    #[arg(long, default_value_t = 256 << 20, value_name = "BYTES")]
    pub input_max: usize,
    /// Most output kept for a client that does not read; beyond it the server ends with exit code 1
    #[arg(long, default_value_t = 1 << 30, value_name = "BYTES")]
    pub output_max: usize,

    /// Wait this long before every answer, without holding up other requests. Cancelled requests are answered too
    #[arg(long, default_value_t = 0, value_name = "MS", help_heading = "Slow")]
    pub delay: u64,
    /// Add up to this much at random to every --delay
    #[arg(long, default_value_t = 0, value_name = "MS", help_heading = "Slow")]
    pub delay_jitter: u64,
    /// Wait this long after the start before reading anything
    #[arg(long, default_value_t = 0, value_name = "MS", help_heading = "Slow")]
    pub slow_start: u64,
    /// Never answer this method (repeatable)
    #[arg(long, value_name = "METHOD", help_heading = "Slow")]
    pub hang_on: Vec<String>,
    /// Never answer initialize
    #[arg(long, help_heading = "Slow")]
    pub hang_handshake: bool,
    /// Stop reading after N requests, but stay alive: the client's writes back up
    #[arg(long, value_name = "N", help_heading = "Slow")]
    pub stop_reading_after: Option<u64>,

    /// Exit when request number N arrives (initialize counts), leaving it unanswered
    #[arg(long, value_name = "N", help_heading = "Crash")]
    pub crash_after: Option<u64>,
    /// Exit when this method arrives (repeatable)
    #[arg(long, value_name = "METHOD", help_heading = "Crash")]
    pub crash_on: Vec<String>,
    /// Exit code of --crash-after, --crash-on and of the crash tools
    #[arg(long, default_value_t = 1, value_name = "CODE", help_heading = "Crash")]
    pub exit_code: i32,
    /// Close standard output after N answers, but stay alive
    #[arg(long, value_name = "N", help_heading = "Crash")]
    pub close_stdout_after: Option<u64>,
    /// Ignore SIGTERM (Unix)
    #[arg(long, help_heading = "Crash")]
    pub ignore_sigterm: bool,
    /// Stay alive when standard input ends
    #[arg(long, help_heading = "Crash")]
    pub ignore_eof: bool,

    /// Send a notification every MS milliseconds once initialized
    #[arg(long, value_name = "MS", help_heading = "Noise")]
    pub notify_every: Option<u64>,
    /// Method of the --notify-every notifications
    #[arg(
        long,
        default_value = "notifications/message",
        value_name = "METHOD",
        help_heading = "Noise"
    )]
    pub notify_method: String,
    /// Write a line that is not JSON before answers
    #[arg(long, help_heading = "Noise")]
    pub garbage: bool,
    /// Write it before every Nth answer only (implies --garbage)
    #[arg(long, value_name = "N", help_heading = "Noise")]
    pub garbage_every: Option<u64>,
    /// Answer this method with broken JSON (repeatable)
    #[arg(long, value_name = "METHOD", help_heading = "Noise")]
    pub malformed_on: Vec<String>,
    /// Answer this method with a result of --oversized-bytes (repeatable)
    #[arg(long, value_name = "METHOD", help_heading = "Noise")]
    pub oversized_on: Vec<String>,
    /// Size of an oversized result
    #[arg(long, default_value_t = 32 << 20, value_name = "N", help_heading = "Noise")]
    pub oversized_bytes: usize,
    /// Send every answer twice
    #[arg(long, help_heading = "Noise")]
    pub duplicate_answers: bool,
    /// Before every answer send one with an id that nobody used
    #[arg(long, help_heading = "Noise")]
    pub unknown_ids: bool,
    /// Write this text to standard error at the start
    #[arg(long, value_name = "TEXT", help_heading = "Noise")]
    pub stderr: Option<String>,
    /// Write this many lines a second to standard error
    #[arg(long, value_name = "N", help_heading = "Noise")]
    pub stderr_flood: Option<u64>,

    /// Start a child that idles in the same process group; its pid goes to standard error
    #[arg(long, help_heading = "Descendants")]
    pub grandchild: bool,
    /// Start a child that idles in a session of its own and keeps standard output open; its pid goes to standard error
    #[arg(long, help_heading = "Descendants")]
    pub daemon: bool,
    /// What such a child does: nothing, for an hour
    #[arg(long, hide = true)]
    pub(crate) idle: Option<IdleKind>,
}

/// What a mock server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Eras {
    /// The handshake era alone.
    Legacy,
    /// 2026-07-28 alone.
    Modern,
    /// Each request is answered in the era that it is of.
    Both,
}

/// Who may share a cached result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CacheScope {
    /// Everybody.
    Public,
    /// Nobody but who asked.
    Private,
}

impl CacheScope {
    /// Returns the name on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// What a descendant that only idles is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IdleKind {
    Grandchild,
    Daemon,
}

impl Default for MockOptions {
    fn default() -> Self {
        use clap::FromArgMatches;
        let matches = Self::augment_args(clap::Command::new("mock-server")).get_matches_from(["mock-server"]);
        Self::from_arg_matches(&matches).expect("every option has a default")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound_and_each_one_is_explained() {
        let command = MockOptions::augment_args(clap::Command::new("mock-server"));
        command.clone().debug_assert();
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} has no help", argument.get_id());
        }
    }

    #[test]
    fn the_default_is_well_behaved() {
        let options = MockOptions::default();
        assert_eq!(
            (options.delay, options.crash_after, options.garbage),
            (0, None, false)
        );
        assert!(options.hang_on.is_empty() && options.idle.is_none());
    }
}
