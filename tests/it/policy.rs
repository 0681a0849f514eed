//! Policies on the path of messages: the bundled plugins in front of the mock server, on every transport.

mod bypass;
mod door;
mod listening;
mod routing;
mod server_side;
mod validation;
