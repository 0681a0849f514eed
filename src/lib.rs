//! Portcullis.

pub mod protocol;
