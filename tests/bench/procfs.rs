//! CPU time of processes, as `/proc` tells it.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Linux reports times in `/proc` in hundredths of a second on every architecture.
const TICK: Duration = Duration::from_millis(10);

/// CPU time used by a process, and by all its living descendants.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuTime {
    /// The process alone, user and system.
    pub(crate) own: Duration,
    /// Its living descendants.
    pub(crate) descendants: Duration,
}

impl CpuTime {
    /// Reads both for `pid`; a process that is gone counts nothing.
    pub(crate) fn of(pid: u32) -> Self {
        let table = table();
        let own = table.get(&pid).map_or(Duration::ZERO, |stat| stat.cpu);
        let descendants = descendants(&table, pid)
            .iter()
            .map(|child| table[child].cpu)
            .sum();
        Self { own, descendants }
    }

    /// Returns what was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            own: self.own.saturating_sub(earlier.own),
            descendants: self.descendants.saturating_sub(earlier.descendants),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    cpu: Duration,
}

fn table() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

/// Reads `/proc/PID/stat`; the fields are counted after the command's closing parenthesis.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        cpu: TICK * ticks,
    })
}

fn descendants(table: &HashMap<u32, Stat>, root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            table
                .iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    found.split_off(1)
}
