//! Remote servers: the gateway as the client of another one, over every transport, and of servers that misbehave.

mod broken;
mod fallback;
mod hostile;
mod listening;
mod mirrors;
mod network;
mod order;
mod pair;
mod relay;
mod renewal;
mod scripted;
mod sockets;
mod transports;
