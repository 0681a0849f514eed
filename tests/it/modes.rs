//! In which mode a request is made, and which server a route leads to: on real HTTP, with real processes.

mod caller;
mod cors;
mod follow;
mod registry;
mod routes;
mod selection;
mod sessions;
