//! `portcullis plugin test` and `check`.

use std::path::Path;
use std::process::ExitCode;

use super::output::{runtime, say, show_logs};
use crate::author::cases::{self, CaseReport};

/// Runs the cases of a plugin. Exits with 1 if one fails.
///
/// # Errors
/// The plugin cannot be loaded, or its cases cannot be read.
pub(super) fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    show_logs();
    let (mut passed, mut failed) = (0, 0);
    let report = |case: &CaseReport| {
        let place = case.file.display();
        match &case.failure {
            None => {
                passed += 1;
                say!("ok      {place}: {}", case.name);
            }
            Some(failure) => {
                failed += 1;
                say!("FAILED  {place}: {}\n        {failure}", case.name);
            }
        }
    };
    runtime()?.block_on(cases::run(folder, report))?;
    say!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says what a gateway would. Exits with 1 where it would not let the plugin in.
///
/// # Errors
/// Why the gateway would not let it in.
pub(super) fn check(folder: &Path) -> anyhow::Result<ExitCode> {
    show_logs();
    let checked = runtime()?.block_on(cases::check(folder))?;
    for request in &checked.requests {
        say!("asks for  {request}");
    }
    for warning in &checked.warnings {
        say!("warning   {warning}");
    }
    for failure in &checked.failures {
        say!("FAILED    {failure}");
    }
    Ok(if checked.failures.is_empty() {
        say!("{} would be let in", checked.title);
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
