//! `http`: requests to the hosts that the operator granted.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Method, Url, redirect};
use tokio::sync::Semaphore;

use crate::config::HttpGrant;
use crate::plugin::bindings::host::http::{Host, Request, Response};
use crate::plugin::error::{ErrorKind, Stopped};
use crate::plugin::state::State;

/// Most bytes of an answer's body.
const BODY_MAX: usize = 1 << 20;

/// Names of one plugin that are looked up at once. A look-up cannot be stopped, only left alone, and takes a thread.
const LOOKUPS_MAX: usize = 4;

/// Headers that say where a request goes and where it ends. A `host` of its own would reach others behind a granted name.
const HEADERS_OF_OURS: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Makes the requests of one plugin.
#[derive(Debug, Clone)]
pub(in crate::plugin) struct HttpClient {
    client: Client,
    grant: HttpGrant,
}

impl HttpClient {
    /// Returns a client that goes where a grant says.
    pub(in crate::plugin) fn new(grant: &HttpGrant) -> Result<Self, String> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Resolver::new(grant.private_addresses)))
            .pool_max_idle_per_host(4)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            client,
            grant: grant.clone(),
        })
    }

    async fn send(&self, request: Request, time: Duration) -> Result<Response, String> {
        let url =
            Url::parse(&request.url).map_err(|error| format!("{:?} is no URL: {error}", request.url))?;
        self.check(&url)?;
        let method = Method::from_bytes(request.method.as_bytes())
            .map_err(|_| format!("{:?} is no HTTP method", request.method))?;
        let time = time.min(Duration::from_millis(request.timeout_ms.into()));
        let mut builder = self.client.request(method, url).timeout(time).body(request.body);
        for (name, value) in &request.headers {
            if HEADERS_OF_OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                return Err(format!("the header {name} is not the plugin's to set"));
            }
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(|error| reason(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            if body.len() + chunk.len() > BODY_MAX {
                return Err(format!("the answer is longer than {BODY_MAX} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    fn check(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("{:?} is neither http nor https", url.scheme()));
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let with_port = format!("{host}:{port}");
        let is_granted =
            self.grant.hosts.iter().any(|granted| {
                granted.eq_ignore_ascii_case(host) || granted.eq_ignore_ascii_case(&with_port)
            });
        if !is_granted {
            return Err(format!("{with_port} is not among the granted hosts"));
        }
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if literal.is_ok_and(is_private) && !self.grant.private_addresses {
            return Err(format!("{host} is a private address, which is not granted"));
        }
        Ok(())
    }
}

/// Gives an error with its causes: reqwest's own text does not say what happened.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Resolves names, without the addresses that a plugin may not reach: a public name can point anywhere.
struct Resolver {
    private_addresses: bool,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    fn new(private_addresses: bool) -> Self {
        Self {
            private_addresses,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private_addresses = self.private_addresses;
        let lookups = self.lookups.clone();
        Box::pin(async move {
            let permit = lookups.acquire_owned().await?;
            let none = format!("{} has no address that the plugin may reach", name.as_str());
            // The permit is the thread's: who asked may be gone before the answer is there.
            let found = tokio::task::spawn_blocking(move || {
                let found = (name.as_str(), 0).to_socket_addrs();
                drop(permit);
                found
            });
            let allowed: Vec<SocketAddr> = found
                .await??
                .filter(|address| private_addresses || !is_private(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(none.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Returns whether an address is not one of the public internet.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || first == 0
                || first >= 240
                || (first == 100 && (64..128).contains(&second))
                || matches!(address.octets(), [192, 0, 0, _] | [192, 88, 99, _])
                || (first == 198 && (second == 18 || second == 19))
        }
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            // Only 2000::/3 is given out. The rest is local, or leads to an IPv4 address (mapped, translated, NAT64).
            first & 0xe000 != 0x2000
                // Protocols (Teredo among them), documentation, 6to4.
                || (first == 0x2001 && (second < 0x200 || second == 0xdb8))
                || (first == 0x3fff && second < 0x1000)
                || first == 0x2002
        }
    }
}

impl Host for State {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, String>> {
        self.count()?;
        let Some(client) = self.shared.http.clone() else {
            return Err(Stopped::new(ErrorKind::HostCall, "http is not granted").into());
        };
        self.wait();
        // The engine's interruption does not reach in here.
        let time = self.deadline.saturating_duration_since(Instant::now());
        Ok(client.send(request, time).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_private_addresses_in_every_dress() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "2001:db8::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2002:7f00:1::",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "ff02::1",
            "192.88.99.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
        ] {
            assert!(is_private(private.parse().expect("an address")), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "100.128.0.1",
        ] {
            assert!(!is_private(public.parse().expect("an address")), "{public}");
        }
    }

    #[tokio::test]
    async fn few_names_are_looked_up_at_once_and_private_ones_not_found() {
        let resolver = Resolver::new(true);
        let name = || "localhost".parse::<Name>().expect("a name");
        let all = resolver.lookups.clone().acquire_many_owned(LOOKUPS_MAX as u32);
        let all = all.await.expect("open");
        let mut waiting = resolver.resolve(name());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(resolver.lookups.available_permits(), 0);
        drop(all);
        assert!(
            waiting
                .await
                .expect("this machine")
                .all(|address| address.ip().is_loopback())
        );
        assert_eq!(resolver.lookups.available_permits(), LOOKUPS_MAX);
        let refused = Resolver::new(false).resolve(name()).await.err().expect("private");
        assert!(
            refused
                .to_string()
                .contains("no address that the plugin may reach"),
            "{refused}"
        );
    }

    #[test]
    fn goes_only_where_the_grant_says() {
        let grant = HttpGrant {
            hosts: vec![
                "Policy.example".into(),
                "b.example:8443".into(),
                "127.0.0.1".into(),
                "[::1]".into(),
            ],
            private_addresses: false,
        };
        let client = HttpClient::new(&grant).expect("a client");
        let check = |url: &str| client.check(&Url::parse(url).expect("a URL"));
        assert_eq!(check("https://policy.example/x"), Ok(()));
        assert_eq!(check("http://policy.example:8080/"), Ok(()));
        assert_eq!(check("https://b.example:8443/"), Ok(()));
        for wrong in [
            "https://b.example/",
            "https://evil.example/?policy.example",
            "https://policy.example@evil.example/",
            "ftp://policy.example/",
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://[::1]/",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
