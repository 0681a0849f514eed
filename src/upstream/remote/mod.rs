//! Servers that are reached by a URL: Streamable HTTP, HTTP+SSE, WebSocket.
//!
//! A [`RemoteServer`] gives a supervisor what a process gives it: a pipe of lines in, a pipe of lines out, a log, and
//! something to wait for and to end. Between them a task translates: a line becomes a request or a frame, what the
//! server says becomes lines. It ends where nothing more will come, and then the supervisor does what it does with a
//! process that ended: it tells those who wait, and starts again within the server's budget of restarts. A stop closes
//! the pipe; the task then takes leave of the server (DELETE) and ends.
//!
//! | what happens | what is done |
//! |---|---|
//! | the server cannot be reached | the request gets an error; once no other answer is on its way, the generation ends |
//! | a connection breaks before the answer | requests that only read are sent once more; others get an error that says so |
//! | an event stream breaks that gave ids | it is resumed by `Last-Event-ID`, after the time that the server asked for |
//! | the session is unknown (404, or the 400 of the SDKs) | one new session for all who meet it, then the request again |
//! | `initialize` is refused | the generation ends, or HTTP+SSE is tried where the transport is not pinned |
//! | a call does not mirror what the server wants mirrored (-32020) | its tools are listed again, then the call once more |
//! | a tool says of headers what breaks the rules | it is left out of lists, and calls of it are refused |
//! | a message is longer than `line-max` | its request gets an error; on a WebSocket the connection ends |
//!
//! What a request is told never holds the URL or a header; details go to the log, without the URL either.

mod body;
mod classic;
mod client;
mod conversation;
mod exchange;
mod failure;
mod head;
mod listening;
mod mirrors;
mod process;
mod refusal;
mod renewal;
mod server;
mod session;
mod strings;
mod tools;
mod websocket;
mod wire;

pub use failure::{RemoteFailure, Unreachable};
pub use server::RemoteServer;
