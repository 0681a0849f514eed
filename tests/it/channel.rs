//! Transports that carry messages both ways on one channel: WebSocket, and `portcullis stdio`.

mod ends;
mod scenes;
mod sockets;
mod stdio;
