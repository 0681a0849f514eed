//! What lies between the gateway and a remote server: TLS with roots of one's own, and proxies.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::pair::{near_the_mock, record_until, to_in};
use super::scripted::{Scripted, polite, result};
use crate::wire::peer::Peer;

/// Of `localhost` alone, by a root that no system trusts.
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");

/// Leads to an address from a port where TLS is spoken.
async fn tls_to(target: SocketAddr) -> (u16, JoinHandle<()>) {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("one belongs to the other");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.expect("it listens");
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                // Who does not trust it goes.
                let Ok(mut client) = acceptor.accept(stream).await else {
                    return;
                };
                let mut server = TcpStream::connect(target).await.expect("it listens");
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (port, task)
}

#[tokio::test]
async fn a_root_of_ones_own_is_trusted_where_it_is_named_and_the_name_counts() {
    let near = near_the_mock("shared");
    let (port, task) = tls_to(near.address()).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wire/remote/tls/ca.pem");
    let trusting = [("SSL_CERT_FILE", root.to_str().expect("UTF-8"))];
    let far = to_in(&trusting, &format!("https://localhost:{port}/mcp/mock"), "");
    let peer = Peer::open(&far, "far").await;
    assert_eq!(peer.text("echo", json!({ "a": 1 })).await, "{\"a\":1}");
    far.stop().await;
    for (environment, host) in [(&trusting[..], "127.0.0.1"), (&[], "localhost")] {
        let url = format!("https://{host}:{port}/mcp/mock");
        let far = to_in(environment, &url, "autostart = true\nrestart-attempts-max = 1");
        let record = record_until(&far, "it failed", |record| record["phase"] == "failed").await;
        assert_eq!(record["lastError"], "it cannot be reached: TLS failed", "{host}");
        far.stop().await;
    }
    task.abort();
    near.stop().await;
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_gone_through_unless_the_server_is_excepted() {
    let server = Scripted::start(|seen, _| {
        polite(seen)
            .unwrap_or_else(|| result(seen, json!({ "content": [{ "type": "text", "text": "here" }] })))
    })
    .await;
    let proxy = format!("http://{}", server.address());
    let environment = [("http_proxy", &*proxy), ("NO_PROXY", ""), ("no_proxy", "")];
    let gateway = to_in(&environment, "http://mcp.example/mcp", "sharing = \"shared\"");
    assert_eq!(
        Peer::open(&gateway, "far").await.text("a", json!({})).await,
        "here"
    );
    gateway.stop().await;
    let paths = |path: &str| server.seen().iter().filter(|seen| seen.path == path).count();
    assert_eq!(
        paths("http://mcp.example/mcp"),
        server.seen().len(),
        "it was asked as a proxy"
    );
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let nowhere = format!("http://{}", nobody.local_addr().expect("it is bound"));
    drop(nobody);
    let environment = [("http_proxy", &*nowhere), ("NO_PROXY", "127.0.0.1")];
    let gateway = to_in(&environment, &server.url(), "sharing = \"shared\"");
    assert_eq!(
        Peer::open(&gateway, "far").await.text("a", json!({})).await,
        "here"
    );
    assert!(paths("/mcp") > 0);
    gateway.stop().await;
}
