//! One server's instances and their supervision.

pub mod launch;
