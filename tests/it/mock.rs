//! The mock server, as its clients see it: the real binary over pipes.

mod driver;
mod eras;
mod faults;
mod inputs;
mod listens;
mod modern;
#[cfg(unix)]
mod processes;
mod protocol;
mod tasks;
