//! Hostile and broken components against the real host: each limit is reached, and nobody else suffers.
//!
//! The components are core modules in text form, made components by the tools that authors have.

mod containment;
mod course;
mod decisions;
mod engine;
mod host;
mod lies;
mod neighbours;
mod pool;
mod rig;
mod wit;
