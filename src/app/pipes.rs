//! One client at the other end of two pipes, such as standard input and output: messages by line, one session, which
//! the pipes begin and end.

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufWriter};

use super::App;
use crate::config::Config;
use crate::gateway::{Gateway, GatewayError, Link};
use crate::protocol::MessageError;
use crate::protocol::framing::{Frame, LineDecoder};
use crate::protocol::names::code;
use crate::session::{Caller, OutboxReader, Transport};

/// Bytes of messages that leave in one write.
const WRITE_BYTES: usize = 64 * 1024;

/// Why there is no session for the pipes.
#[derive(Debug, Error)]
pub enum PipesError {
    /// No server was named, and there are several to choose from, or none.
    #[error("say which server, with --server; there is {}", list(.0))]
    Unnamed(Vec<String>),
    /// Nothing has this name.
    #[error("there is no server or route {name:?}; there is {}", list(.known))]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// There is no such mode.
    #[error("there is no mode {name:?}; there is {}", list(.known))]
    UnknownMode {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// There are modes, and none is that of a client which chooses none.
    #[error("say which mode, with --mode; there is {}", list(.0))]
    NoMode(Vec<String>),
    /// The gateway opens no session.
    #[error(transparent)]
    Refused(#[from] GatewayError),
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

/// Returns the server or route that a name means: the last segment of its URL, or the name of a server. Without a name
/// it is the only one that there is.
///
/// # Errors
/// There is none, or it is not clear which.
pub fn find_endpoint(config: &Config, name: Option<&str>) -> Result<String, PipesError> {
    let servers = || config.servers.values();
    let paths = servers().map(|spec| spec.path.clone());
    let mut known: Vec<String> = paths.chain(config.routes.keys().cloned()).collect();
    let Some(name) = name else {
        return match known.len() {
            1 => Ok(known.remove(0)),
            _ => Err(PipesError::Unnamed(known)),
        };
    };
    let named = servers().find(|spec| spec.name.as_str() == name);
    if known.iter().any(|path| path == name) {
        return Ok(name.to_owned());
    }
    named
        .map(|spec| spec.path.clone())
        .ok_or_else(|| PipesError::Unknown {
            name: name.to_owned(),
            known,
        })
}

/// Leaves only the servers to which an endpoint leads: a gateway for one client starts no others.
pub fn keep_servers_of(config: &mut Config, endpoint: &str) {
    let is_path = config.servers.values().any(|spec| spec.path == endpoint);
    let route = (!is_path).then(|| config.routes.get(endpoint)).flatten();
    let is_wanted = |name| {
        route.map_or_else(
            || config.servers[name].path == endpoint,
            |route| route.servers.iter().any(|candidate| candidate.server == *name),
        )
    };
    let wanted: Vec<_> = config
        .servers
        .keys()
        .filter(|name| is_wanted(*name))
        .cloned()
        .collect();
    config.servers.retain(|name, _| wanted.contains(name));
}

/// Returns who is at the pipes: nobody by name, in the mode that was asked for. Whoever starts the program with its
/// configuration may choose any.
fn caller(config: &Config, mode: Option<&str>) -> Result<Caller, PipesError> {
    let known = || config.modes.keys().cloned().collect::<Vec<String>>();
    let mode = match mode {
        Some(name) if config.modes.contains_key(name) => Some(name),
        Some(name) => {
            let name = name.to_owned();
            return Err(PipesError::UnknownMode { name, known: known() });
        }
        None => config.anonymous.modes.usual.as_deref(),
    };
    if mode.is_none() && !config.modes.is_empty() {
        return Err(PipesError::NoMode(known()));
    }
    Ok(Caller {
        principal: Caller::ANONYMOUS.into(),
        mode: mode.map(Arc::from),
    })
}

/// The gateway's end of the pipes. Dropping it ends the session.
#[derive(Debug)]
pub struct Pipes {
    link: Link,
}

impl App {
    /// Opens a session for the pipes, with a server or route of [`find_endpoint`], and returns what reads the messages
    /// for its client.
    ///
    /// # Errors
    /// See [`PipesError`].
    pub async fn open_pipes(
        &self,
        endpoint: &str,
        mode: Option<&str>,
    ) -> Result<(Pipes, OutboxReader), PipesError> {
        let gateway: &Arc<Gateway> = self.gateway();
        let caller = caller(gateway.config(), mode)?;
        let target = gateway
            .registry()
            .target_at(endpoint)
            .ok_or(GatewayError::NoServer)?;
        let pinned = gateway.pin(|_| None);
        let place = (target, caller);
        let (link, reader) = Link::open(gateway, place, pinned.as_ref(), Transport::Stdio).await?;
        Ok((Pipes { link }, reader))
    }
}

impl Pipes {
    /// Takes what the client sends until it sends no more, and waits until all of it is on its way.
    ///
    /// # Errors
    /// The pipe cannot be read.
    pub async fn listen(&self, mut input: impl AsyncRead + Unpin) -> io::Result<()> {
        let gateway = self.link.gateway();
        let mut lines = LineDecoder::new(gateway.config().http.body_max);
        let mut is_over = false;
        while !is_over {
            is_over = input.read_buf(lines.buffer()).await? == 0;
            while let Some(frame) = lines.next_frame() {
                self.take(frame).await;
            }
        }
        if let Some(frame) = lines.finish() {
            self.take(frame).await;
        }
        self.link.settled().await;
        Ok(())
    }

    async fn take(&self, frame: Frame) {
        self.link.room().await;
        match frame {
            Frame::Line(line) => self.link.take(line, self.link.gateway().pin(|_| None)).await,
            Frame::Oversized { length, .. } => self.link.refuse(&MessageError {
                code: code::INVALID_REQUEST,
                message: format!("the message has {length} bytes, which is more than http.body-max"),
                id: None,
            }),
        }
    }
}

/// Writes the messages for the client until its session is over.
///
/// # Errors
/// Nobody reads them.
pub async fn speak(mut reader: OutboxReader, output: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut output = BufWriter::with_capacity(WRITE_BYTES, output);
    while let Some(events) = reader.next().await {
        for event in events {
            output.write_all(&event.data).await?;
            output.write_all(b"\n").await?;
        }
        output.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loader;

    fn config(more: &[(&str, &str)]) -> Config {
        let flag = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let loader = Loader {
            flags: [("state-dir", "/nowhere")].iter().chain(more).map(flag).collect(),
            ..Loader::default()
        };
        loader.load().expect("valid").config
    }

    const TWO: [(&str, &str); 3] = [
        ("servers.a.command", "x"),
        ("servers.b.command", "x"),
        ("servers.b.path", "bee"),
    ];

    #[test]
    fn a_server_is_found_by_path_or_name_and_alone_without_either() {
        let found = |config: &Config, name| find_endpoint(config, name).map_err(|error| error.to_string());
        let two = config(&TWO);
        assert_eq!(found(&two, Some("bee")), Ok("bee".to_owned()));
        assert_eq!(found(&two, Some("b")), Ok("bee".to_owned()));
        let unclear = found(&two, None).expect_err("there are two");
        assert!(unclear.contains("a, bee"), "{unclear}");
        assert!(found(&two, Some("c")).is_err());
        assert_eq!(found(&config(&TWO[..1]), None), Ok("a".to_owned()));
        assert!(found(&config(&[]), None).is_err());
    }

    #[test]
    fn only_the_servers_of_the_endpoint_are_kept() {
        let kept = |endpoint: &str| {
            let route = ("routes.r.servers", r#"["b"]"#);
            let mut config = config(&[&TWO[..], &[route]].concat());
            keep_servers_of(&mut config, endpoint);
            config
                .servers
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept("a"), ["a"]);
        assert_eq!(kept("bee"), ["b"]);
        assert_eq!(kept("r"), ["b"]);
    }

    #[test]
    fn the_mode_is_one_that_there_is() {
        let modes = [("modes.chat", "{}"), ("modes.code", "{}")];
        let mode = |config: &Config, name| caller(config, name).map(|caller| caller.mode).ok();
        assert_eq!(mode(&config(&[]), None), Some(None));
        assert_eq!(mode(&config(&[]), Some("chat")), None);
        assert_eq!(mode(&config(&modes), Some("chat")), Some(Some("chat".into())));
        assert_eq!(mode(&config(&modes), None), None);
        let usual = [&modes[..], &[("default-mode", "code")]].concat();
        assert_eq!(mode(&config(&usual), None), Some(Some("code".into())));
    }
}
