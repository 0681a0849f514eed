//! Watches what plugins are made of: the folder, and the file with the configuration.
//!
//! The system's notices only say when to look; every two seconds it is looked at in any case. What is written is left
//! alone until it has not changed for a while, and then its content decides whether anything is new.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::folder::{COMPONENT_FILE, SIGNATURE_FILE};
use super::manifest::{MANIFEST_FILE, is_name};
use super::roster::Roster;

/// How often it is looked without a notice.
const POLL: Duration = Duration::from_secs(2);
/// How long nothing may have changed.
const QUIET: Duration = Duration::from_millis(200);
/// What never rests is looked at nevertheless, after so many times [`QUIET`].
const QUIET_TRIES: usize = 50;

/// What is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The folder of the plugins.
    pub dir: PathBuf,
    /// The file with the configuration.
    pub file: Option<PathBuf>,
}

/// How files look from outside: each with its time, length and number.
type Look = Vec<(PathBuf, SystemTime, u64, u64)>;

impl Roster {
    /// Looks for the plugins that only lie in the folder, and from then on, if something is to be watched, for changes.
    /// Ends when it is stopped.
    pub async fn attend(self: Arc<Self>, watched: Option<Watched>, stop: CancellationToken) {
        let attending = async {
            let look = match &watched {
                Some(watched) => watched.look().await,
                None => Look::new(),
            };
            // What is wrong is in the log and in the records.
            let _ = self.reload().await;
            if let Some(watched) = &watched {
                self.follow(watched, look).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = attending => {}
        }
    }

    async fn follow(&self, watched: &Watched, mut known: Look) {
        let wake = Arc::new(Notify::new());
        let mut notices = Notices::new(wake.clone());
        loop {
            notices.listen(&watched.dir, &known);
            let _ = tokio::time::timeout(POLL, wake.notified()).await;
            let seen = watched.look().await;
            if seen == known {
                continue;
            }
            known = settled(watched, seen).await;
            let _ = self.reload().await;
        }
    }
}

/// Waits until nothing changes any more.
async fn settled(watched: &Watched, mut seen: Look) -> Look {
    for _ in 0..QUIET_TRIES {
        tokio::time::sleep(QUIET).await;
        let now = watched.look().await;
        if now == seen {
            break;
        }
        seen = now;
    }
    seen
}

impl Watched {
    async fn look(&self) -> Look {
        let watched = self.clone();
        tokio::task::spawn_blocking(move || watched.look_now())
            .await
            .unwrap_or_default()
    }

    fn look_now(&self) -> Look {
        let mut paths: Vec<PathBuf> = self.file.iter().cloned().collect();
        for entry in self.dir.read_dir().into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_name) {
                let files = [MANIFEST_FILE, COMPONENT_FILE, SIGNATURE_FILE];
                paths.extend(files.map(|file| entry.path().join(file)));
            }
        }
        paths.sort_unstable();
        paths.into_iter().filter_map(outside).collect()
    }
}

fn outside(path: PathBuf) -> Option<(PathBuf, SystemTime, u64, u64)> {
    let metadata = path.metadata().ok()?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some((path, modified, metadata.len(), number(&metadata)))
}

#[cfg(unix)]
fn number(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn number(_: &std::fs::Metadata) -> u64 {
    0
}

/// The system's notices of changes, as far as it has any to give.
struct Notices {
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
}

impl Notices {
    fn new(wake: Arc<Notify>) -> Self {
        let watcher = notify::recommended_watcher(move |_| wake.notify_one());
        Self {
            watcher: watcher
                .map_err(
                    |error| debug!(%error, "no notices of changes: the plugins are looked at now and then"),
                )
                .ok(),
            folders: Vec::new(),
        }
    }

    /// Listens to the folder of the plugins and to theirs, not to what is built below them.
    fn listen(&mut self, dir: &Path, look: &Look) {
        let Some(watcher) = &mut self.watcher else { return };
        let mut folders = vec![dir.to_owned()];
        folders.extend(
            look.iter()
                .filter_map(|(path, ..)| path.parent())
                .map(Path::to_owned),
        );
        folders.retain(|folder| folder.starts_with(dir));
        folders.dedup();
        for gone in self.folders.iter().filter(|folder| !folders.contains(folder)) {
            let _ = watcher.unwatch(gone);
        }
        // A folder that was replaced by another one of its name is heard anew; one that is heard already stays so.
        for folder in &folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                debug!(folder = %folder.display(), %error, "no notices of changes");
            }
        }
        self.folders = folders;
    }
}
