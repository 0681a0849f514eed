//! The admin API, `/admin/v1`: servers, sessions, plugins and events for operators.
//!
//! Whoever may use it can register programs, so it trusts nothing but its bearer token: no principal, no cookie, no
//! web page of another origin, no body that a form could send. It answers no CORS request.

mod body;
mod deputy;
mod error;
mod events;
mod guard;
mod openapi;
mod operation;
mod plugins;
mod routes;
mod servers;
mod sessions;
mod status;

pub use routes::{AdminContext, AdminOptions};
pub(super) use routes::{routes, routes_before};
