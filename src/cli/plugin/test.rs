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
                println!("FAILED  {place}: {}\n        {failure}", case.name);
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

/// Says what a gateway would. Exits with 1 where it would not let the plugin in.
///
/// # Errors
/// Why the gateway would not let it in.
#[expect(clippy::print_stdout, reason = "the command prints what it found")]
pub(super) fn check(folder: &Path) -> anyhow::Result<ExitCode> {
    show_logs();
    let checked = runtime()?.block_on(cases::check(folder))?;
    for request in &checked.requests {
        println!("asks for  {request}");
    }
    for warning in &checked.warnings {
        println!("warning   {warning}");
    }
    for failure in &checked.failures {
        println!("FAILED    {failure}");
    }
    Ok(if checked.failures.is_empty() {
        println!("{} would be let in", checked.title);
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
