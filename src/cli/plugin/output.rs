//! How results are printed.

use crate::author::Anatomy;
use crate::config::{LogConfig, LogFormat};
use crate::telemetry;

/// Prints a line of a result. Where the reader has enough, as with `| head`, nothing is wrong.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($line)*); // the exit code is that of the work, not of the reader
    }};
}
pub(super) use say;

/// Prints what a component is made of.
pub(super) fn print_anatomy(anatomy: &Anatomy) {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let line = anatomy.line.as_deref().map_or_else(
        || "not portcullis:plugin".to_owned(),
        |line| format!("portcullis:plugin@{line}"),
    );
    say!("size     {} bytes", grouped(anatomy.size));
    say!("sha256   {}", anatomy.sha256);
    say!("ABI      {line}");
    say!("exports  {}", list(&anatomy.exports));
    say!("imports  {}", list(&anatomy.imports));
    say!(
        "grants   {}",
        list(&anatomy.wants().map(str::to_owned).collect::<Vec<_>>())
    );
    say!("WASI     {}", list(&anatomy.wasi));
    if !anatomy.foreign.is_empty() {
        say!("foreign  {}", anatomy.foreign.join(", "));
    }
}

/// Returns a number with commas.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns what hooks run in.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Shows what plugins log and what is being installed.
pub(super) fn show_logs() {
    let log = LogConfig {
        level: "warn,portcullis::plugin=info,portcullis::author=info".to_owned(),
        format: LogFormat::Pretty,
    };
    telemetry::start(&log).expect("the filter is one");
}
