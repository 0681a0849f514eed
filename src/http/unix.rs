//! A Unix socket to listen on: for its owner alone, and never left behind.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Who may connect: the owner.
const MODE: u32 = 0o600;

/// A bound socket. Dropping it removes its file.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    _file: SocketFile,
}

impl UnixSocket {
    /// Binds a path. A socket that is there already makes room if nobody answers at it.
    ///
    /// # Errors
    /// Somebody answers, something else is there, or the path is not ours to bind or too long.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let socket = match bound(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                bound(path)?
            }
            bound => bound?,
        };
        let file = SocketFile::of(path)?;
        // Where the mode of an unbound socket does not count, this is what does.
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self {
            listener,
            _file: file,
        })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

fn bound(path: &Path) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Before it has a name: nobody else ever sees it open. The umask can only take more away.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(MODE as _))?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(socket)
}

/// Removes a socket that a process left behind that was killed.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |why: &str| io::Error::new(io::ErrorKind::AddrInUse, why.to_owned());
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(in_use("there is something else than a socket"));
    }
    // Somebody whose queue is full is there too, and is not waited for.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(in_use("somebody else listens there")),
    }
}

/// The file of a socket, told apart from another one that has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = identity(&self.path).is_ok_and(|identity| identity == self.identity);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            warn!(file = %self.path.display(), %error, "not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener as Other;

    use super::*;

    /// A folder that goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            let name = format!("portcullis-unix-{}", uuid::Uuid::new_v4().simple());
            let place = std::env::temp_dir().join(name);
            fs::create_dir(&place).expect("the temporary directory is writable");
            Self(place)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn it_is_the_owners_and_goes_with_the_listener() {
        let place = Place::new();
        let path = place.0.join("socket");
        let socket = UnixSocket::bind(&path).expect("it is free");
        let mode = fs::metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let client = UnixStream::connect(&path);
        let (client, server) = tokio::join!(client, socket.accept());
        assert!(client.is_ok() && server.is_ok());
        let taken = UnixSocket::bind(&path).expect_err("somebody answers");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn somebody_who_is_too_busy_to_answer_keeps_the_place() {
        let place = Place::new();
        let path = place.0.join("socket");
        let address = SockAddr::unix(&path).expect("it is short");
        let stream = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("the system has sockets");
        let busy = stream();
        busy.bind(&address).expect("it is free");
        busy.listen(0).expect("it is bound");
        let connected = || {
            let client = stream();
            client.set_nonblocking(true).expect("ours");
            client.connect(&address).is_ok().then_some(client)
        };
        let queue: Vec<Socket> = std::iter::from_fn(connected).collect();
        let taken = UnixSocket::bind(&path).expect_err("somebody is there");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists() && !queue.is_empty());
    }

    #[tokio::test]
    async fn what_a_killed_process_left_makes_room_and_nothing_else_does() {
        let place = Place::new();
        let path = place.0.join("socket");
        drop(Other::bind(&path).expect("it is free"));
        assert!(path.exists(), "the standard library leaves it");
        let socket = UnixSocket::bind(&path).expect("nobody answers");
        fs::remove_file(&path).expect("it is there");
        let other = Other::bind(&path).expect("it is free");
        drop(socket);
        assert!(path.exists(), "that is the other's");
        drop(other);

        let file = place.0.join("file");
        fs::write(&file, "precious").expect("the directory is writable");
        let refused = UnixSocket::bind(&file).expect_err("it is a file");
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    }
}
