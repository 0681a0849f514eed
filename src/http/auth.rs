//! Who makes a request: a bearer token names a principal; without one it is `anonymous`, if that is allowed.
//!
//! No other header is believed. Only the hashes of tokens are kept, and all of them are compared, in constant time.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Config;
use crate::session::Caller;

/// The principal of everyone without a token.
pub const ANONYMOUS: &str = Caller::ANONYMOUS;

/// The principals and the hashes of their tokens.
#[derive(Debug)]
pub struct Principals {
    known: Vec<(Arc<str>, TokenHash)>,
    anonymous: Option<Arc<str>>,
}

/// Why nobody could be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthRefused {
    /// There is no token, and anonymous requests are switched off.
    Missing,
    /// The token belongs to nobody, or the header is not of the form `Bearer <token>`.
    Invalid,
}

impl AuthRefused {
    /// Returns what `WWW-Authenticate` says.
    pub(super) fn challenge(self) -> &'static str {
        match self {
            Self::Missing => "Bearer",
            Self::Invalid => "Bearer error=\"invalid_token\"",
        }
    }
}

impl std::fmt::Display for AuthRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "a bearer token is required",
            Self::Invalid => "the bearer token is not valid",
        })
    }
}

/// The SHA-256 of a token.
#[derive(Clone)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Returns the hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

impl Principals {
    /// Returns the principals of a configuration.
    pub fn new(config: &Config) -> Self {
        let known = config
            .principals
            .iter()
            .map(|(name, principal)| (Arc::from(name.as_str()), TokenHash::of(principal.token.expose())))
            .collect();
        let anonymous = config.anonymous.enabled.then(|| Arc::from(ANONYMOUS));
        Self { known, anonymous }
    }

    /// Returns whether there is such a principal.
    pub(super) fn knows(&self, principal: &str) -> bool {
        let anonymous = self.anonymous.iter();
        let mut names = self.known.iter().map(|(name, _)| name).chain(anonymous);
        names.any(|name| **name == *principal)
    }

    /// Returns whose request it is.
    ///
    /// # Errors
    /// Nobody's: see [`AuthRefused`]. A wrong token is never anonymous.
    pub fn of(&self, headers: &HeaderMap) -> Result<Arc<str>, AuthRefused> {
        if !headers.contains_key(AUTHORIZATION) {
            return self.anonymous.clone().ok_or(AuthRefused::Missing);
        }
        let hash = TokenHash::of(bearer(headers).ok_or(AuthRefused::Invalid)?);
        let mut found = None;
        for (name, known) in &self.known {
            if bool::from(known.matches(&hash)) {
                found = Some(name.clone());
            }
        }
        found.ok_or(AuthRefused::Invalid)
    }
}

/// Returns the token of the only `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principals(anonymous: bool) -> Principals {
        Principals {
            known: vec![
                ("alice".into(), TokenHash::of("a-token")),
                ("bob".into(), TokenHash::of("b-token")),
            ],
            anonymous: anonymous.then(|| Arc::from(ANONYMOUS)),
        }
    }

    #[track_caller]
    fn check(anonymous: bool, values: &[&str], expect: Result<&str, AuthRefused>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a value"));
        }
        assert_eq!(
            principals(anonymous).of(&headers).as_deref(),
            expect.as_ref().copied(),
            "{values:?}"
        );
    }

    #[test]
    fn a_token_names_its_principal_and_a_wrong_one_nobody() {
        check(true, &["Bearer b-token"], Ok("bob"));
        check(true, &["bearer a-token"], Ok("alice"));
        check(true, &[], Ok(ANONYMOUS));
        check(false, &[], Err(AuthRefused::Missing));
        for wrong in ["Bearer c-token", "Bearer", "Basic b-token", "b-token", "Bearer "] {
            check(true, &[wrong], Err(AuthRefused::Invalid));
        }
        check(
            true,
            &["Bearer a-token", "Bearer b-token"],
            Err(AuthRefused::Invalid),
        );
    }
}
