//! Portcullis.

pub mod config;
