//! A session's right to use an instance, and who may have which.

use std::sync::Arc;

use super::handle::Upstream;
use crate::protocol::Era;
use crate::protocol::mcp::InitializeParams;

/// How a session holds its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseKind {
    /// With every other session of the server.
    Shared,
    /// With every other session of the same principal.
    Principal,
    /// Alone.
    Own,
}

impl LeaseKind {
    /// Returns the name used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Principal => "principal",
            Self::Own => "session",
        }
    }
}

/// A session's right to use an instance. Dropping it gives it back; an instance of one session ends with it.
#[derive(Debug)]
pub struct Lease {
    upstream: Arc<Upstream>,
    kind: LeaseKind,
    reason: &'static str,
}

impl Lease {
    pub(super) fn new(upstream: Arc<Upstream>, kind: LeaseKind, reason: &'static str) -> Self {
        upstream.usage().acquire();
        Self {
            upstream,
            kind,
            reason,
        }
    }

    /// Returns the instance.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Returns with whom it is shared.
    pub fn kind(&self) -> LeaseKind {
        self.kind
    }

    /// Returns why, in words for an operator.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.upstream.usage().release();
    }
}

/// Who wants a lease.
#[derive(Debug)]
pub struct Applicant<'a> {
    /// The principal's name, or `anonymous`.
    pub principal: &'a str,
    /// The era that the client speaks.
    pub era: Era,
    /// What the client said in `initialize`; absent for a client that has not said anything.
    pub facts: Option<&'a Arc<InitializeParams>>,
    /// The shared instance that it is to get, if it shares one and that is there.
    pub preferred: Option<u64>,
}
