//! One file per command: it prints and exits, the work is done in the rooms behind it.

pub mod mock_server;
