//! `portcullis plugin test` and `check`.

use std::path::Path;
use std::process::ExitCode;

use super::output::{runtime, show_logs};
use crate::author::cases::{self, CaseReport};

/// Runs the cases of a plugin. Exits with 1 if one fails.
///
/// # Errors
/// The plugin cannot be loaded, or its cases cannot be read.
#[expect(clippy::print_stdout, reason = "the command prints what it found")]
pub(super) fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    show_logs();
    let (mut passed, mut failed) = (0, 0);
    let report = |case: &CaseReport| {
        let place = case.file.display();
        match &case.failure {
            None => {
                passed += 1;
                println!("ok      {place}: {}", case.name);
            }
            Some(failure) => {
                failed += 1;
                println!("FAILED  {place}: {}\n        {}", case.name, failure.detail);
            }
        }
    };
    runtime()?.block_on(cases::run(folder, report))?;
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
