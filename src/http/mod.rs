//! HTTP: warp for routes, hyper for connections, and nothing of either beyond this room.

pub mod serve;
pub mod routes;
mod mcp;
mod post;
mod stream;
mod sse;
mod body;
mod accept;
pub mod origin;
pub mod auth;
mod health;
mod reply;

pub use auth::Principals;
pub use origin::OriginPolicy;
pub use routes::{HttpContext, routes};
pub use serve::{Listener, ServeOptions};
