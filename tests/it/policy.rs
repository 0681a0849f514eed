//! Policies on the path of messages: the bundled plugins in front of the mock server, on every transport.

mod asked;
mod bypass;
mod context;
mod door;
mod edits;
mod listening;
mod routing;
mod server_side;
mod tasks;
mod validation;
