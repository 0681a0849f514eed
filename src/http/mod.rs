//! HTTP: warp for routes, hyper for connections, and nothing of either beyond this room.

mod accept;
pub mod admin;
pub mod auth;
mod body;
mod descriptors;
pub mod entrance;
mod health;
mod mcp;
pub mod mode;
mod modern;
pub mod origin;
mod pace;
mod post;
mod preface;
mod reply;
pub mod routes;
pub mod serve;
mod socket;
mod sse;
mod stream;
mod streams;
mod traffic;
#[cfg(unix)]
mod unix;
mod websocket;

pub use admin::{AdminContext, AdminOptions};
pub use entrance::Entrance;
pub use origin::OriginPolicy;
pub use routes::{HttpContext, admin_routes, routes};
pub use serve::{Listener, ServeOptions};
