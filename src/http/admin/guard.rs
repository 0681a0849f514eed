//! Who may use the admin API: whoever speaks to it by its own name, not from a web page elsewhere, with the token.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};

use super::super::auth::{AuthRefused, TokenHash, bearer};
use super::super::entrance::Entrance;
use super::super::origin::OriginPolicy;
use super::deputy::{Deputies, Deputy};
use super::error::AdminError;
use crate::config::Config;

/// The checks that come before everything else. Only the token's hash is kept.
#[derive(Debug)]
pub(super) struct Guard {
    hosts: OriginPolicy,
    token: TokenHash,
    deputies: Deputies,
}

/// Who makes a request.
#[derive(Debug)]
pub(super) enum Operator {
    /// Whoever has the admin token: may do everything.
    Admin,
    /// A principal, who may do some of it.
    Deputy(Deputy),
}

impl Guard {
    /// Returns the guard of a listener. Names beyond the loopback ones count only where somebody put the API on an
    /// address that others can reach.
    pub(super) fn new(listen: SocketAddr, config: &Config, entrance: Arc<Entrance>, token: &str) -> Self {
        let allowed_hosts = if listen.ip().is_loopback() {
            &[]
        } else {
            &*config.http.allowed_hosts
        };
        Self {
            deputies: Deputies::new(entrance),
            hosts: OriginPolicy::new(listen, allowed_hosts, &[]),
            token: TokenHash::of(token),
        }
    }

    /// Returns who makes a request, or says why it does not pass.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Operator, AdminError> {
        let host = self
            .hosts
            .check_host(headers)
            .map_err(|_| AdminError::Host(text_of(headers, &HOST)))?;
        check_origin(headers, host)?;
        if self.has_token(headers).map_err(AdminError::Unauthorized)? {
            return Ok(Operator::Admin);
        }
        let deputy = self.deputies.find(headers)?;
        let refusal = AdminError::Unauthorized(AuthRefused::Invalid);
        deputy.map(Operator::Deputy).ok_or(refusal)
    }

    fn has_token(&self, headers: &HeaderMap) -> Result<bool, AuthRefused> {
        if !headers.contains_key(AUTHORIZATION) {
            return Err(AuthRefused::Missing);
        }
        let given = TokenHash::of(bearer(headers).ok_or(AuthRefused::Invalid)?);
        Ok(self.token.matches(&given).into())
    }
}

/// Accepts no page but one that this very listener served. The list of origins for MCP does not count here, and
/// neither does "some port of this machine": the development server of any project is that, and what it serves was
/// not written by whoever runs the gateway.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), AdminError> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let own = format!("http://{host}");
    let is_own = |origin: &http::HeaderValue| {
        origin
            .to_str()
            .is_ok_and(|origin| origin.eq_ignore_ascii_case(&own))
    };
    if origins.all(is_own) {
        Ok(())
    } else {
        Err(AdminError::Origin(text_of(headers, &ORIGIN)))
    }
}

fn text_of(headers: &HeaderMap, name: &http::HeaderName) -> String {
    let value = headers.get(name).map(|value| value.as_bytes());
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loader;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn config() -> Config {
        let flags = [("state-dir", "/nowhere"), ("http.allowed-hosts", "gate.example")];
        let loader = Loader {
            flags: flags.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
            ..Loader::default()
        };
        loader.load().expect("it is valid").config
    }

    fn guard(listen: SocketAddr) -> Guard {
        let config = config();
        Guard::new(listen, &config, Arc::new(Entrance::new(&config)), TOKEN)
    }

    #[track_caller]
    fn check(headers: &[(http::HeaderName, &str)], expect: &str) {
        let listen = "127.0.0.1:4100".parse().expect("an address");
        let guard = guard(listen);
        let bearer = format!("Bearer {TOKEN}");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = if *value == "token" { &bearer } else { *value };
            map.append(name.clone(), value.parse().expect("a value"));
        }
        let outcome = match guard.check(&map) {
            Ok(Operator::Admin) => "passes",
            Ok(Operator::Deputy(deputy)) => panic!("{deputy:?}"),
            Err(AdminError::Host(_)) => "host",
            Err(AdminError::Origin(_)) => "origin",
            Err(AdminError::Unauthorized(AuthRefused::Missing)) => "missing",
            Err(AdminError::Unauthorized(AuthRefused::Invalid)) => "invalid",
            Err(error) => panic!("{error}"),
        };
        assert_eq!(outcome, expect, "{headers:?}");
    }

    #[test]
    fn only_the_token_from_no_other_page() {
        let host = (HOST, "127.0.0.1:4100");
        let token = (AUTHORIZATION, "token");
        check(&[host.clone(), token.clone()], "passes");
        check(&[(HOST, "localhost"), token.clone()], "passes");
        check(std::slice::from_ref(&host), "missing");
        for wrong in ["Bearer 0123456789abcdef0123456789abcdeg", "Bearer ", "Basic x"] {
            check(&[host.clone(), (AUTHORIZATION, wrong)], "invalid");
        }
        for wrong in ["gate.example", "evil.example", "192.0.2.1"] {
            check(&[(HOST, wrong), token.clone()], "host");
        }
        check(&[host.clone(), host.clone(), token.clone()], "host");
        let own = (ORIGIN, "http://127.0.0.1:4100");
        check(&[host.clone(), own.clone(), token.clone()], "passes");
        check(
            &[host.clone(), own, (ORIGIN, "http://evil.example"), token.clone()],
            "origin",
        );
        for foreign in [
            "http://evil.example",
            "http://localhost:3000",
            "http://localhost:4100",
            "https://127.0.0.1:4100",
            "null",
        ] {
            check(&[host.clone(), (ORIGIN, foreign), token.clone()], "origin");
        }
    }

    #[test]
    fn a_listener_that_others_reach_may_have_a_name() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "gate.example".parse().expect("a value"));
        let listen = "0.0.0.0:4101".parse().expect("an address");
        let guard = guard(listen);
        assert!(matches!(guard.check(&headers), Err(AdminError::Unauthorized(_))));
    }
}
