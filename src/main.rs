//! The `portcullis` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, before threads, a runtime or the command line's parser: the guard is this program, and must stay small.
    #[cfg(target_os = "linux")]
    if std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == portcullis::upstream::launch::GUARD_VERB)
    {
        return portcullis::upstream::launch::guard_main();
    }
    portcullis::cli::run().unwrap_or_else(|error| {
        #[expect(clippy::print_stderr, reason = "the last word of a program that ends")]
        {
            eprintln!("portcullis: {}", portcullis::cli::told(&error));
        }
        ExitCode::FAILURE
    })
}
