//! Transports that carry messages both ways on one channel: WebSocket, and `portcullis stdio`.

mod ends;
mod eras;
mod lasting;
mod scenes;
mod sockets;
mod speaker;
mod stateless;
mod stdio;
