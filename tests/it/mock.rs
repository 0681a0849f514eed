//! The mock server, as its clients see it: the real binary over pipes.

mod driver;
mod faults;
#[cfg(unix)]
mod processes;
mod protocol;
