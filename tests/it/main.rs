//! The integration tests: one binary, the real executable under test.

mod bench_parts;
mod classic;
mod stress;
mod support;
