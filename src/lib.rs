//! Portcullis.
pub mod upstream;
