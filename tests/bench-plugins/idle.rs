//! What an instance that waits costs: memory that is nobody else's, of many of them.

use std::fs;

use portcullis::plugin::{Plugin, PluginHost};

use crate::body::Body;
use crate::guest::Guest;

/// So many instances are measured together.
const INSTANCES: usize = 64;

/// Returns the private dirty memory of one instance after a call, with all that the host keeps for it, in bytes.
pub(crate) async fn bytes_of_one(host: &PluginHost, guest: &Guest) -> Result<f64, String> {
    let body = &Body::all()[0];
    let (ctx, matter) = (body.ctx(), body.walked());
    let mut plugins: Vec<Plugin> = Vec::with_capacity(INSTANCES);
    let before = private_dirty()?;
    for _ in 0..INSTANCES {
        // Each generation has one instance, and the code is that of all.
        let plugin = guest.again(host).await?;
        let judged = plugin.on_message(&ctx, &matter).await;
        judged.map_err(|error| error.to_string())?;
        plugins.push(plugin);
    }
    let after = private_dirty()?;
    Ok(after.saturating_sub(before) as f64 / INSTANCES as f64)
}

fn private_dirty() -> Result<usize, String> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").map_err(|error| error.to_string())?;
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("no Private_Dirty")?;
    kib.parse()
        .map(|kib: usize| kib * 1024)
        .map_err(|_| "no number".to_owned())
}
