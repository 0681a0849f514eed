//! How many connections there may be: some descriptors must be left for servers, which cannot be started without.

#[cfg(unix)]
use tracing::info;

/// Returns how many connections a listener takes at once: as many as it may, but no more than half of the descriptors
/// that the process may open.
#[cfg(unix)]
pub(super) fn connections_max(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    let descriptors = getrlimit(Resource::Nofile).current;
    let connections = within(wanted, descriptors);
    if connections < wanted {
        info!(
            connections,
            descriptors,
            "fewer connections than http.connections-max: raise the limit of open files (ulimit -n, LimitNOFILE)"
        );
    }
    connections
}

/// Returns how many connections a listener takes at once.
#[cfg(not(unix))]
pub(super) fn connections_max(wanted: usize) -> usize {
    wanted
}

/// Returns what is wanted, or half of the descriptors.
#[cfg(unix)]
fn within(wanted: usize, descriptors: Option<u64>) -> usize {
    let half = descriptors.map_or(usize::MAX, |all| usize::try_from(all / 2).unwrap_or(usize::MAX));
    wanted.min(half.max(1))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_left_for_servers() {
        assert_eq!(within(4096, Some(1024)), 512);
        assert_eq!(within(100, Some(1024)), 100);
        assert_eq!(within(4096, None), 4096);
        assert_eq!(within(4096, Some(u64::MAX)), 4096);
        assert_eq!(within(4096, Some(0)), 1, "it is slow then, but it serves");
    }
}
