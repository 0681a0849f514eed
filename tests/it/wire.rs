//! The wire downstream, exactly: what each request is answered with, on which stream, and to whom.

mod arguments;
mod crashes;
mod frames;
mod http2;
mod http_sse;
mod ids;
mod leaving;
mod limits;
mod listen;
mod listen_life;
mod listen_tasks;
mod listener;
mod missed;
mod older;
mod passed;
mod peer;
mod principals;
mod races;
mod raw;
mod remote;
mod sessions;
mod shared;
mod sole;
mod statuses;
mod streamable;
mod streams;
#[cfg(unix)]
mod unix;
