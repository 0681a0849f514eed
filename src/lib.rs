//! Portcullis.

pub mod cli;
pub mod mock;
