//! A place that leads to a gateway, to another one, or nowhere.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Leads to an address until it is dropped, which closes its port and every connection.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Relay {
    /// Leads from a port of the system's choice.
    pub(super) async fn to(target: SocketAddr) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), target).await
    }

    /// Leads from an address.
    pub(super) async fn at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.expect("it listens");
                connections.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(target).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self { address, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads nowhere from now on; returns the address that did.
    pub(super) async fn close(mut self) -> SocketAddr {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}
