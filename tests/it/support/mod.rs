//! What the integration tests stand on: the real gateway in a process of its own, a client that speaks to it
//! as any other would, and the process table as witness.

mod caller;
pub(crate) mod census;
mod channel;
mod client;
mod eventually;
mod gateway;
mod guests;
mod http;
mod number;
mod process;
mod sse;

pub(crate) use caller::anonymous;
pub(crate) use channel::Channel;
pub(crate) use client::{Client, text_of};
pub(crate) use eventually::{LIMIT, eventually, within};
pub(crate) use gateway::Gateway;
pub(crate) use guests::Guarded;
pub(crate) use http::{Answer, Connection};
pub(crate) use number::number;
pub(crate) use process::{Footprint, Process, raise_descriptor_limit};
pub(crate) use sse::{Event, EventStream};
