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

/// How files look from outside.
type Look = Vec<(PathBuf, Outside)>;

/// A file from outside: its time, its length, and what the system knows of it besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Outside {
    modified: SystemTime,
    len: u64,
    identity: (u64, i64, i64),
}

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

fn outside(path: PathBuf) -> Option<(PathBuf, Outside)> {
    let metadata = path.metadata().ok()?;
    let outside = Outside {
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        len: metadata.len(),
        identity: identity(&metadata),
    };
    Some((path, outside))
}

/// The number of the file, and when it was last touched, which nobody can set: copies like to keep the other time.
#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

/// Looking is noticed too, and whoever looked because of that would look for ever.
fn is_change(event: &notify::Result<notify::Event>) -> bool {
    event.as_ref().is_ok_and(|event| !event.kind.is_access())
}

/// The system's notices of changes, as far as it has any to give.
struct Notices {
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
}

impl Notices {
    fn new(wake: Arc<Notify>) -> Self {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if is_change(&event) {
                wake.notify_one();
            }
        });
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
                .filter_map(|(path, _)| path.parent())
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::*;

    fn new_folder() -> PathBuf {
        let path = std::env::temp_dir().join(format!("portcullis-watch-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&path).expect("a new folder");
        path
    }

    #[test]
    fn to_look_is_no_change() {
        let dir = new_folder();
        let (tx, rx) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(tx).expect("a watcher");
        watcher.watch(&dir, RecursiveMode::NonRecursive).expect("watched");
        let watched = Watched {
            dir: dir.clone(),
            file: None,
        };
        watched.look_now();
        fs::create_dir(dir.join("new")).expect("a new folder");
        let is_new = |event: &notify::Event| event.paths == [dir.join("new")];
        let mut others = 0;
        loop {
            let event = rx.recv_timeout(Duration::from_secs(60)).expect("a notice");
            if event.as_ref().is_ok_and(is_new) {
                assert!(is_change(&event), "{event:?}");
                break;
            }
            assert!(!is_change(&event), "{event:?}");
            others += 1;
        }
        if cfg!(target_os = "linux") {
            assert!(others > 0, "to look is noticed");
        }
        fs::remove_dir_all(dir).expect("ours");
    }

    #[cfg(unix)]
    #[test]
    fn another_file_of_the_same_length_and_time_is_another() {
        let dir = new_folder();
        fs::create_dir(dir.join("p")).expect("a new folder");
        let path = dir.join("p").join(COMPONENT_FILE);
        let watched = Watched {
            dir: dir.clone(),
            file: None,
        };
        let write = |text: &str| {
            fs::write(&path, text).expect("written");
            let file = fs::File::options().write(true).open(&path).expect("ours");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("ours");
            watched.look_now()
        };
        let first = write("one");
        assert_eq!(watched.look_now(), first);
        // The system's own time has a coarse step.
        let second = std::iter::repeat_with(|| write("two")).find(|second| *second != first);
        assert_eq!(
            second.map(|second| second[0].1.modified),
            Some(SystemTime::UNIX_EPOCH)
        );
        fs::remove_dir_all(dir).expect("ours");
    }
}
