//! Clients without a handshake (2026-07-28), with servers of either era behind the gateway.

mod cache;
mod client;
mod ladder;
mod meanwhile;
mod pages;
mod questions;
mod servers;
mod standby;
mod suspended;
