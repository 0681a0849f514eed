//! The integration tests, one binary.

#[cfg(target_os = "linux")]
mod guard;
