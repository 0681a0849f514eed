//! Who may be spoken to and from where: the `Host` and `Origin` of a request (2025-11-25, "Security Warning").
//!
//! A web page that resolves its own name to the loopback address sends that name as `Host`; a page of another site
//! sends its `Origin`. Both are refused unless the configuration names them.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Request};

/// Which hosts and origins are accepted.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    /// `None` where no name leads here, so that none can be bent.
    hosts: Option<Vec<String>>,
    origins: Vec<String>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginRefused {
    /// The `Host` header is missing or not accepted.
    Host(String),
    /// The `Origin` header is not accepted.
    Origin(String),
}

impl std::fmt::Display for OriginRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(host) => write!(
                f,
                "the host {host:?} is not accepted; add it to http.allowed-hosts"
            ),
            Self::Origin(origin) => write!(
                f,
                "the origin {origin:?} is not accepted; add it to http.allowed-origins"
            ),
        }
    }
}

impl OriginPolicy {
    /// Returns a policy that accepts loopback names, the address listened on, and what is configured.
    pub fn new(listen: SocketAddr, allowed_hosts: &[String], allowed_origins: &[String]) -> Self {
        let mut hosts: Vec<String> = allowed_hosts
            .iter()
            .map(|host| host.to_ascii_lowercase())
            .collect();
        if !listen.ip().is_unspecified() {
            hosts.push(match listen.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        let origins = allowed_origins
            .iter()
            .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
            .collect();
        Self {
            hosts: Some(hosts),
            origins,
        }
    }

    /// Returns the policy of a Unix socket: a page cannot reach it, whatever name it resolves to what, so every host is
    /// accepted. Origins are checked as before, since a proxy may pass on what a page sends.
    pub fn without_hosts(self) -> Self {
        Self { hosts: None, ..self }
    }

    /// Checks a request.
    ///
    /// # Errors
    /// Which of the two headers is not accepted.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), OriginRefused> {
        self.check_host(headers)?;
        let mut origins = headers
            .get_all(ORIGIN)
            .iter()
            .map(|origin| origin.to_str().unwrap_or_default());
        match origins.find(|origin| !self.accepts_origin(origin)) {
            None => Ok(()),
            Some(origin) => Err(OriginRefused::Origin(origin.to_owned())),
        }
    }

    /// Checks the host alone and returns it.
    ///
    /// # Errors
    /// The header is missing, there twice, or not accepted.
    pub fn check_host<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, OriginRefused> {
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let count = headers.get_all(HOST).iter().count();
        if (count != 1 && self.hosts.is_some()) || count > 1 || !self.accepts_host(host) {
            return Err(OriginRefused::Host(host.to_owned()));
        }
        Ok(host)
    }

    fn accepts_host(&self, host: &str) -> bool {
        let Some(hosts) = &self.hosts else { return true };
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        is_loopback_name(name) || hosts.iter().any(|allowed| *allowed == host || allowed == name)
    }

    fn accepts_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self
            .origins
            .iter()
            .any(|allowed| *allowed == origin || allowed == "*")
        {
            return true;
        }
        let host = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| !host.contains('/') && is_loopback_name(without_port(host)))
    }
}

/// Puts the authority of a request where that of HTTP/1.1 usually stands: HTTP/2 has it elsewhere, and a URL with one
/// overrides the header (RFC 9112 §3.2.2). A `Host` that says something else stays beside it, and two are refused.
pub(super) fn name_host<B>(request: &mut Request<B>) {
    let authority = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned());
    let Some(authority) = authority.and_then(|authority| HeaderValue::try_from(authority).ok()) else {
        return;
    };
    if request.headers().get(HOST) != Some(&authority) {
        request.headers_mut().append(HOST, authority);
    }
}

/// Returns the host without its port: `[::1]:80` is `[::1]`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
            if name.contains(':') && !name.ends_with(']') {
                host
            } else {
                name
            }
        }
        _ => host,
    }
}

fn is_loopback_name(name: &str) -> bool {
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> OriginPolicy {
        let listen = "192.0.2.7:80".parse().expect("an address");
        OriginPolicy::new(
            listen,
            &["gate.example".to_owned()],
            &["https://app.example".to_owned()],
        )
    }

    #[test]
    fn hosts() {
        let check = |host, expect| assert_eq!(policy().accepts_host(host), expect, "{host}");
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:4100",
            "127.1.2.3",
            "[::1]:9",
            "192.0.2.7:80",
            "gate.example:443",
        ] {
            check(host, true);
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "192.0.2.8",
            "127.0.0.1.evil.example",
            "::1:80:x",
        ] {
            check(host, false);
        }
    }

    #[test]
    fn origins() {
        let check = |origin, expect| assert_eq!(policy().accepts_origin(origin), expect, "{origin}");
        for origin in [
            "http://localhost:3000",
            "https://127.0.0.1",
            "http://[::1]:5",
            "https://app.example",
        ] {
            check(origin, true);
        }
        for origin in [
            "null",
            "http://evil.example",
            "https://app.example.evil",
            "http://localhost/x",
            "file://",
        ] {
            check(origin, false);
        }
    }

    #[test]
    fn a_unix_socket_has_no_host_but_origins() {
        let policy = policy().without_hosts();
        let mut headers = HeaderMap::new();
        assert_eq!(policy.check(&headers), Ok(()), "some clients send none");
        headers.append(HOST, "evil.example".parse().expect("a value"));
        assert_eq!(policy.check(&headers), Ok(()));
        headers.append(ORIGIN, "http://evil.example".parse().expect("a value"));
        assert!(matches!(policy.check(&headers), Err(OriginRefused::Origin(_))));
    }

    #[test]
    fn the_authority_of_http2_is_the_host() {
        let hosts = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let mut request = request.body(()).expect("a request");
            name_host(&mut request);
            let hosts = request.headers().get_all(HOST).into_iter();
            hosts
                .map(|host| host.to_str().expect("text").to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(hosts("http://a.example:1/x", None), ["a.example:1"]);
        assert_eq!(hosts("http://a.example/x", Some("a.example")), ["a.example"]);
        assert_eq!(
            hosts("http://a.example/x", Some("b.example")),
            ["b.example", "a.example"]
        );
        assert_eq!(hosts("/x", Some("b.example")), ["b.example"]);
    }

    #[test]
    fn every_origin_counts() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, "localhost".parse().expect("a value"));
        headers.append(ORIGIN, "http://localhost".parse().expect("a value"));
        assert_eq!(policy().check(&headers), Ok(()));
        headers.append(ORIGIN, "http://evil.example".parse().expect("a value"));
        let refused = OriginRefused::Origin("http://evil.example".to_owned());
        assert_eq!(policy().check(&headers), Err(refused));
    }

    #[test]
    fn one_host_and_no_more() {
        let mut headers = HeaderMap::new();
        assert!(matches!(policy().check(&headers), Err(OriginRefused::Host(_))));
        headers.append(HOST, "localhost".parse().expect("a value"));
        assert_eq!(policy().check(&headers), Ok(()));
        headers.append(HOST, "localhost".parse().expect("a value"));
        assert!(matches!(policy().check(&headers), Err(OriginRefused::Host(_))));
    }
}
