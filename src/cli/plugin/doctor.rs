//! `portcullis plugin doctor`.

use std::path::Path;
use std::process::ExitCode;

use super::output::say;
use crate::author::doctor::{Health, examine};

/// Prints which languages plugins can be built in here, and the command for what is missing. Succeeds either way: an
/// author needs one language.
pub(super) fn run() -> ExitCode {
    for finding in examine(Path::new(".")) {
        let language = finding.language;
        match finding.health {
            Health::Ready(with) => say!("{language:<8} ready: {with}"),
            Health::OnFirstBuild(kit) => {
                say!("{language:<8} ready: the first build installs {kit} into your cache")
            }
            Health::Missing { what, remedy } => {
                say!("{language:<8} missing: {what}");
                for line in remedy.lines() {
                    say!("         {line}");
                }
            }
        }
    }
    ExitCode::SUCCESS
}
