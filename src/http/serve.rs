//! Connections: accepted up to a limit, served with time-outs, drained at the end. `warp::serve` offers none of this.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use warp::filters::BoxedFilter;

use super::descriptors::connections_max;
use super::origin::name_host;
use super::pace::Paced;
use super::preface::Version;
use super::reply::Response;
use super::socket::Socket;
use super::streams::Streams;
use super::traffic::Traffic;
#[cfg(unix)]
use super::unix::UnixSocket;
use crate::config::HttpConfig;

/// How connections are served.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Connections at once; further ones wait in the system's queue.
    pub connections_max: usize,
    /// How long the head of a request may take, which is also how long an idle connection is kept.
    pub header_timeout: Duration,
    /// Bytes of the head of a request.
    pub header_max: usize,
    /// How long sent data may stay unacknowledged, and an answer on HTTP/2 untaken, before the peer counts as gone.
    pub tcp_user_timeout: Duration,
    /// How long connections get to finish at the end.
    pub drain_timeout: Duration,
    /// Time between the pings of HTTP/2, and how long an answer to one may take.
    pub keep_alive: Duration,
    /// Streams at once on one connection of HTTP/2.
    pub http2_streams_max: usize,
}

impl ServeOptions {
    /// Returns the options of a configuration.
    pub fn of(config: &HttpConfig) -> Self {
        Self {
            connections_max: config.connections_max,
            header_timeout: config.header_timeout,
            header_max: config.header_max,
            tcp_user_timeout: config.tcp_user_timeout,
            drain_timeout: config.drain_timeout,
            keep_alive: config.keep_alive,
            http2_streams_max: config.http2_streams_max,
        }
    }
}

/// A bound socket that serves routes until it is told to stop.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    options: ServeOptions,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// The smallest buffer that hyper takes.
const HEADER_BUFFER_MIN: usize = 8 * 1024;

/// Bytes of an answer that one stream of HTTP/2 may hold for a client that does not read.
const STREAM_BUFFER: usize = 64 * 1024;
/// Streams that a client may take back at once before they were looked at; more are an attack (CVE-2023-44487).
const RESETS_MAX: usize = 20;

impl Listener {
    /// Binds an address; port 0 takes a free one. Returns which address it is, too.
    ///
    /// # Errors
    /// The address is in use, or not ours to bind.
    pub async fn bind(address: SocketAddr, options: ServeOptions) -> io::Result<(Self, SocketAddr)> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        let socket = Bound::Tcp(socket);
        Ok((Self { socket, options }, address))
    }

    /// Binds a Unix socket for the owner of the process. One that nobody answers at is replaced; the file goes with the
    /// listener.
    ///
    /// # Errors
    /// Somebody answers there, something else is there, or the path is not ours to bind or too long.
    #[cfg(unix)]
    pub fn bind_unix(path: &Path, options: ServeOptions) -> io::Result<Self> {
        let socket = Bound::Unix(UnixSocket::bind(path)?);
        Ok(Self { socket, options })
    }

    /// Accepts until `draining` is cancelled, serves until `stop` is, then lets the connections finish within the
    /// drain time.
    pub async fn serve(
        self,
        routes: BoxedFilter<(Response,)>,
        draining: CancellationToken,
        stop: CancellationToken,
    ) {
        let service = warp::service(routes);
        let permits = Arc::new(Semaphore::new(connections_max(self.options.connections_max)));
        let mut connections = JoinSet::new();
        let mut is_short = false;
        loop {
            let permit = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
            };
            let stream = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                accepted = self.socket.accept(&self.options) => accepted,
            };
            while connections.try_join_next().is_some() {}
            match stream {
                Ok(stream) => {
                    is_short = false;
                    let socket = Socket::new(stream).holding(permit);
                    let options = self.options.clone();
                    connections.spawn(serve_one(socket, service.clone(), options, stop.clone()));
                }
                Err(error) => {
                    // Usually no descriptors left: wait for some instead of spinning, and say so once.
                    if !std::mem::replace(&mut is_short, true) {
                        warn!(%error, "connections cannot be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.socket);
        stop.cancelled().await;
        let drained = tokio::time::timeout(self.options.drain_timeout, async {
            while connections.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            warn!(
                connections = connections.len(),
                "connections were cut off at the end of the drain time"
            );
        }
    }
}

impl Bound {
    async fn accept(&self, options: &ServeOptions) -> io::Result<Traffic> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                if let Err(error) = tune(&stream, options) {
                    debug!(%error, "socket options not set");
                }
                Ok(Traffic::Tcp(stream))
            }
            #[cfg(unix)]
            Self::Unix(socket) => socket.accept().await.map(Traffic::Unix),
        }
    }
}

async fn serve_one<S>(mut socket: Socket<Traffic>, service: S, options: ServeOptions, stop: CancellationToken)
where
    S: warp_service::Service,
{
    let version = tokio::select! {
        version = tokio::time::timeout(options.header_timeout, socket.version()) => version,
        () = stop.cancelled() => return,
    };
    match version {
        Ok(Ok(Version::One)) => serve_http1(socket, service, &options, stop).await,
        Ok(Ok(Version::Two)) => serve_http2(socket, service, &options, stop).await,
        Ok(Err(error)) => debug!(%error, "connection broke before it said anything"),
        Err(_) => debug!("connection said nothing in time"),
    }
}

async fn serve_http1<S>(socket: Socket<Traffic>, service: S, options: &ServeOptions, stop: CancellationToken)
where
    S: warp_service::Service,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(options.header_max.max(HEADER_BUFFER_MIN));
    let service = service_fn(move |mut request| {
        name_host(&mut request);
        service.clone().call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection.with_upgrades());
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(%error, "connection ended early");
    }
}

async fn serve_http2<S>(socket: Socket<Traffic>, service: S, options: &ServeOptions, stop: CancellationToken)
where
    S: warp_service::Service,
{
    let streams = Streams::new(options.tcp_user_timeout);
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(options.http2_streams_max).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(options.header_max).unwrap_or(u32::MAX))
        .max_send_buf_size(STREAM_BUFFER)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .keep_alive_interval(options.keep_alive)
        .keep_alive_timeout(options.keep_alive);
    let service = service_fn(move |mut request| {
        name_host(&mut request);
        let answer = service.clone().call(request);
        async { Ok::<_, Infallible>(answer.await?.map(Paced::new)) }
    });
    let idle = || streams.idle(options.header_timeout);
    // Gone at the end of the block, and with it whatever its streams still wait for.
    let result = {
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(socket), service));
        let ended = tokio::select! {
            result = connection.as_mut() => Some(result),
            () = stop.cancelled() => None,
            () = idle() => None,
        };
        match ended {
            Some(result) => result,
            None => {
                connection.as_mut().graceful_shutdown();
                // What its client has begun meanwhile is served; nothing else keeps it.
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = idle() => Ok(()),
                }
            }
        }
    };
    if let Err(error) = result {
        debug!(%error, "connection ended early");
    }
    streams.ended().await;
}

/// Makes a peer that is gone noticeable: without these a half-open connection would hold its session for ever.
fn tune(stream: &TcpStream, options: &ServeOptions) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let third = (options.tcp_user_timeout / 3).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(third).with_interval(third);
    #[cfg(not(windows))]
    let keepalive = keepalive.with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(options.tcp_user_timeout))?;
    Ok(())
}

/// The bounds that hyper puts on a service, under one name.
mod warp_service {
    use std::convert::Infallible;

    use hyper::body::Incoming;
    use tower_service::Service as TowerService;

    pub(super) trait Service:
        TowerService<http::Request<Incoming>, Response = super::Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
    {
    }

    impl<S> Service for S where
        S: TowerService<
                http::Request<Incoming>,
                Response = super::Response,
                Error = Infallible,
                Future: Send,
            > + Clone
            + Send
            + 'static
    {
    }
}
