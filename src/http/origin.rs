//! Who may be spoken to and from where: the `Host` and `Origin` of a request (2025-11-25, "Security Warning").
//!
//! A web page that resolves its own name to the loopback address sends that name as `Host`; a page of another site
//! sends its `Origin`. Both are refused unless the configuration names them.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Which hosts and origins are accepted.
#[derive(Debug, Clone)]
pub struct OriginPolicy {
    hosts: Vec<String>,
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
        Self { hosts, origins }
    }

    /// Checks a request.
    ///
    /// # Errors
    /// Which of the two headers is not accepted.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), OriginRefused> {
        self.check_host(headers)?;
        match headers.get(ORIGIN) {
            None => Ok(()),
            Some(origin) => {
                let origin = origin.to_str().unwrap_or_default();
                if self.accepts_origin(origin) {
                    Ok(())
                } else {
                    Err(OriginRefused::Origin(origin.to_owned()))
                }
            }
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
        if headers.get_all(HOST).iter().count() != 1 || !self.accepts_host(host) {
            return Err(OriginRefused::Host(host.to_owned()));
        }
        Ok(host)
    }

    fn accepts_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = without_port(&host);
        is_loopback_name(name)
            || self
                .hosts
                .iter()
                .any(|allowed| *allowed == host || allowed == name)
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
    fn one_host_and_no_more() {
        let mut headers = HeaderMap::new();
        assert!(matches!(policy().check(&headers), Err(OriginRefused::Host(_))));
        headers.append(HOST, "localhost".parse().expect("a value"));
        assert_eq!(policy().check(&headers), Ok(()));
        headers.append(HOST, "localhost".parse().expect("a value"));
        assert!(matches!(policy().check(&headers), Err(OriginRefused::Host(_))));
    }
}
