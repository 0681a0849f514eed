//! The integration tests, one binary.

mod mock;
