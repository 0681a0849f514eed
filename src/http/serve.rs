//! Connections: accepted up to a limit, served with time-outs, drained at the end. `warp::serve` offers none of this.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use warp::filters::BoxedFilter;

use super::reply::Response;
use super::socket::Socket;
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
    /// How long sent data may stay unacknowledged before the peer counts as gone.
    pub tcp_user_timeout: Duration,
    /// How long connections get to finish at the end.
    pub drain_timeout: Duration,
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
        }
    }
}

/// A bound socket that serves routes until it is told to stop.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    options: ServeOptions,
}

/// The smallest buffer that hyper takes.
const HEADER_BUFFER_MIN: usize = 8 * 1024;

impl Listener {
    /// Binds an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is in use, or not ours to bind.
    pub async fn bind(address: SocketAddr, options: ServeOptions) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            options,
        })
    }

    /// Returns the address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
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
        let permits = Arc::new(Semaphore::new(self.options.connections_max));
        let mut connections = JoinSet::new();
        loop {
            let permit = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                permit = permits.clone().acquire_owned() => permit.expect("the semaphore is never closed"),
            };
            let stream = tokio::select! {
                biased;
                () = draining.cancelled() => break,
                accepted = self.socket.accept() => accepted,
            };
            while connections.try_join_next().is_some() {}
            match stream {
                Ok((stream, _)) => {
                    let connection = serve_one(stream, service.clone(), self.options.clone(), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Usually no descriptors left: wait for some instead of spinning.
                    warn!(%error, "a connection could not be accepted");
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

async fn serve_one<S>(stream: TcpStream, service: S, options: ServeOptions, stop: CancellationToken)
where
    S: warp_service::Service,
{
    if let Err(error) = tune(&stream, &options) {
        debug!(%error, "socket options not set");
    }
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(options.header_max.max(HEADER_BUFFER_MIN));
    let socket = TokioIo::new(Socket::new(stream));
    let connection = builder.serve_connection(socket, TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
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
