//! In which mode a request is made: that of its endpoint, or else of its header, or else the usual one of its
//! principal. A client chooses only among the modes that the configuration gives it; nobody is served without one where
//! there are modes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::auth::ANONYMOUS;
use crate::config::{Config, ModeAccess};
use crate::protocol::names::header;
use crate::session::Caller;

/// Which modes there are, and who may use which.
#[derive(Debug)]
pub struct ModePolicy {
    modes: BTreeSet<Arc<str>>,
    header: bool,
    /// By principal.
    access: BTreeMap<Arc<str>, Access>,
}

/// The modes of one principal.
#[derive(Debug)]
struct Access {
    allowed: BTreeSet<Arc<str>>,
    usual: Option<Arc<str>>,
}

/// The mode of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// The request says which.
    Chosen(Arc<str>),
    /// It does not; `None` where the configuration has no modes.
    Usual(Option<Arc<str>>),
}

/// Why a request is in no mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ModeRefused {
    /// The endpoint is of a mode that there is not.
    NoEndpoint(String),
    /// The header names a mode that there is not.
    NoMode(String),
    /// There is a header and it may not choose, or there are several.
    NoHeader(&'static str),
    /// The mode is not for this principal.
    NotForPrincipal(Arc<str>),
    /// The principal has no mode of its own and chose none.
    Undecided,
}

impl ModePolicy {
    /// Returns what a configuration says.
    pub fn new(config: &Config) -> Self {
        let modes: BTreeSet<Arc<str>> = config.modes.keys().map(|mode| mode.as_str().into()).collect();
        let access = |principal: &str, access: &ModeAccess| {
            let known = |mode: &String| modes.get(mode.as_str()).cloned();
            let access = Access {
                allowed: access.allowed.iter().filter_map(known).collect(),
                usual: access.usual.as_ref().and_then(known),
            };
            (Arc::from(principal), access)
        };
        let principals = config.principals.iter();
        let access = principals
            .map(|(name, principal)| access(name.as_str(), &principal.modes))
            .chain([access(ANONYMOUS, &config.anonymous.modes)])
            .collect();
        Self {
            modes,
            header: config.http.mode_header,
            access,
        }
    }

    /// Returns the mode of a principal's request. `endpoint` is the mode that its URL names.
    ///
    /// # Errors
    /// It is in none: see [`ModeRefused`].
    pub(super) fn select(
        &self,
        principal: &str,
        endpoint: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Selection, ModeRefused> {
        let access = self.access.get(principal);
        let Some(wanted) = self.wanted(endpoint, headers)? else {
            let usual = access.and_then(|access| access.usual.clone());
            return match usual.is_some() || self.modes.is_empty() {
                true => Ok(Selection::Usual(usual)),
                false => Err(ModeRefused::Undecided),
            };
        };
        match access.is_some_and(|access| access.allowed.contains(&wanted)) {
            true => Ok(Selection::Chosen(wanted)),
            false => Err(ModeRefused::NotForPrincipal(wanted)),
        }
    }

    /// Returns whether the mode that was chosen for a caller is one that it may still use.
    pub(super) fn still_allows(&self, caller: &Caller) -> bool {
        match &caller.mode {
            None => self.modes.is_empty(),
            Some(mode) => {
                let access = self.access.get(&caller.principal);
                access.is_some_and(|access| access.allowed.contains(mode))
            }
        }
    }

    /// Returns the mode that a request names. A header that says nothing here is refused rather than passed over: its
    /// sender counts on a mode that may allow less.
    fn wanted(&self, endpoint: Option<&str>, headers: &HeaderMap) -> Result<Option<Arc<str>>, ModeRefused> {
        let known = |name: &str| self.modes.get(name).cloned();
        if let Some(name) = endpoint {
            return known(name)
                .map(Some)
                .ok_or_else(|| ModeRefused::NoEndpoint(name.to_owned()));
        }
        let mut values = headers.get_all(header::X_MODE).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if !self.header {
            return Err(ModeRefused::NoHeader(
                "the header x-portcullis-mode may not choose the mode here; use /modes/{mode}/mcp/{server}",
            ));
        }
        if values.next().is_some() {
            return Err(ModeRefused::NoHeader(
                "there are several headers x-portcullis-mode",
            ));
        }
        let name = value.to_str().unwrap_or_default().trim();
        known(name)
            .map(Some)
            .ok_or_else(|| ModeRefused::NoMode(name.to_owned()))
    }
}

impl Selection {
    /// Returns the mode; `None` where the configuration has none.
    pub(super) fn mode(&self) -> Option<&Arc<str>> {
        match self {
            Self::Chosen(mode) => Some(mode),
            Self::Usual(mode) => mode.as_ref(),
        }
    }

    /// Returns what the path of an endpoint begins with, so that whoever goes there is in this mode again.
    pub(super) fn prefix(&self) -> String {
        match self {
            Self::Chosen(mode) => format!("/modes/{mode}"),
            Self::Usual(_) => String::new(),
        }
    }
}

impl ModeRefused {
    /// Returns the status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoEndpoint(_) => StatusCode::NOT_FOUND,
            Self::NoMode(_) | Self::NoHeader(_) => StatusCode::BAD_REQUEST,
            Self::NotForPrincipal(_) | Self::Undecided => StatusCode::FORBIDDEN,
        }
    }
}

impl fmt::Display for ModeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint(mode) => write!(
                f,
                "there is no mode {mode:?}, so there is nothing at /modes/{mode}"
            ),
            Self::NoMode(mode) => write!(f, "there is no mode {mode:?}, which x-portcullis-mode names"),
            Self::NoHeader(message) => f.write_str(message),
            Self::NotForPrincipal(mode) => write!(f, "the mode {mode:?} is not for this client"),
            Self::Undecided => f.write_str(
                "this client has no mode of its own and chose none; use /modes/{mode}/mcp/{server}",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(modes: &[&str], header: bool) -> ModePolicy {
        let set = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<BTreeSet<_>>();
        let access = |name: &str, allowed: &[&str], usual: Option<&str>| {
            let access = Access {
                allowed: set(allowed),
                usual: usual.map(Arc::from),
            };
            (Arc::from(name), access)
        };
        ModePolicy {
            modes: set(modes),
            header,
            access: BTreeMap::from([
                access("alice", &["chat", "code"], Some("chat")),
                access("bob", &["chat", "code"], None),
                access(ANONYMOUS, &[], None),
            ]),
        }
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::X_MODE, value.parse().expect("a value"));
        }
        headers
    }

    #[track_caller]
    fn check(
        principal: &str,
        endpoint: Option<&str>,
        header: &[&str],
        expect: Result<Selection, ModeRefused>,
    ) {
        let policy = policy(&["chat", "code", "admin"], true);
        assert_eq!(policy.select(principal, endpoint, &headers(header)), expect);
    }

    #[test]
    fn endpoint_over_header_over_the_principals_own() {
        let chosen = |mode: &str| Ok(Selection::Chosen(mode.into()));
        let usual = |mode: &str| Ok(Selection::Usual(Some(mode.into())));
        check("alice", None, &[], usual("chat"));
        check("alice", None, &["code"], chosen("code"));
        check("alice", None, &[" chat "], chosen("chat"));
        check("alice", Some("chat"), &["code"], chosen("chat"));
        check("bob", Some("code"), &[], chosen("code"));
    }

    #[test]
    fn a_choice_is_among_the_modes_of_the_principal() {
        let not_for = |mode: &str| Err(ModeRefused::NotForPrincipal(mode.into()));
        check("alice", Some("admin"), &[], not_for("admin"));
        check("alice", Some("admin"), &["chat"], not_for("admin"));
        check("alice", None, &["admin"], not_for("admin"));
        check(ANONYMOUS, Some("chat"), &[], not_for("chat"));
        check("nobody", Some("chat"), &[], not_for("chat"));
        check("bob", None, &[], Err(ModeRefused::Undecided));
        check(ANONYMOUS, None, &[], Err(ModeRefused::Undecided));
        check("nobody", None, &[], Err(ModeRefused::Undecided));
    }

    #[test]
    fn an_unknown_mode_is_never_another_one() {
        for wrong in ["chatt", "Chat", ""] {
            check(
                "alice",
                Some(wrong),
                &["chat"],
                Err(ModeRefused::NoEndpoint(wrong.to_owned())),
            );
            check(
                "alice",
                None,
                &[wrong],
                Err(ModeRefused::NoMode(wrong.to_owned())),
            );
        }
        let refused = policy(&["chat"], true).select("alice", None, &headers(&["chat", "chat"]));
        assert!(matches!(refused, Err(ModeRefused::NoHeader(_))), "{refused:?}");
    }

    #[test]
    fn a_header_that_may_not_choose_is_refused_and_not_passed_over() {
        for modes in [&["chat"] as &[_], &[]] {
            let refused = policy(modes, false).select("alice", None, &headers(&["chat"]));
            assert!(matches!(refused, Err(ModeRefused::NoHeader(_))), "{refused:?}");
        }
    }

    #[test]
    fn without_modes_there_is_none() {
        let policy = policy(&[], true);
        // Their access is that of a configuration with modes; what matters is that no mode is known.
        let selected = policy.select("bob", None, &headers(&[]));
        assert_eq!(selected, Ok(Selection::Usual(None)));
        let refused = policy.select("bob", Some("chat"), &headers(&[]));
        assert_eq!(refused, Err(ModeRefused::NoEndpoint("chat".to_owned())));
    }
}
