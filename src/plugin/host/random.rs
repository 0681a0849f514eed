//! `random`.

use crate::plugin::bindings::host::random::Host;
use crate::plugin::error::{ErrorKind, Stopped};
use crate::plugin::state::State;

/// Most bytes at once.
const BYTES_MAX: u32 = 65_536;

impl Host for State {
    fn get_u64(&mut self) -> wasmtime::Result<u64> {
        let bytes = self.random_bytes(8)?;
        Ok(u64::from_le_bytes(
            bytes.try_into().expect("eight were asked for"),
        ))
    }

    fn get_bytes(&mut self, len: u32) -> wasmtime::Result<Vec<u8>> {
        Ok(self.random_bytes(len)?)
    }
}

impl State {
    fn random_bytes(&mut self, len: u32) -> Result<Vec<u8>, Stopped> {
        self.count()?;
        if len > BYTES_MAX {
            let text = format!("{len} random bytes at once, and the most is {BYTES_MAX}");
            return Err(Stopped::new(ErrorKind::HostCall, text));
        }
        let mut bytes = vec![0; len as usize];
        getrandom::fill(&mut bytes).map_err(|error| Stopped::new(ErrorKind::HostCall, error.to_string()))?;
        Ok(bytes)
    }
}
