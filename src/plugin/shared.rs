//! What all instances of one generation of a plugin have in common.

use std::sync::Arc;

use super::host::http::HttpClient;
use super::host::kv::Store;
use super::host::log::LogLimit;
use crate::config::{Grants, PluginLimits};
use crate::schema::SchemaCache;

/// The common part.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) limits: PluginLimits,
    pub(super) grants: Grants,
    /// Shared with the instances that smoke cases run in.
    pub(super) log: Arc<LogLimit>,
    /// Kept from generation to generation.
    pub(super) kv: Arc<Store>,
    pub(super) http: Option<HttpClient>,
    pub(super) schemas: Arc<SchemaCache>,
}
