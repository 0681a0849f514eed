//! Fuel: what a call costs in instructions, about. Counted for measuring, never in a gateway.

use super::plugin::Plugin;

impl Plugin {
    /// Returns how much fuel the instance that served last has used, in all its calls; none where the engine does not
    /// count ([`PluginEngine::with_fuel`](super::PluginEngine::with_fuel)).
    pub fn fuel(&self) -> Option<u64> {
        self.pool.fuel()
    }
}
