//! What the modern era keeps between requests: nothing of any client, but what was asked of the server itself.

use std::io;

use serde_json::{Value, json};

use super::listens::Listens;
use super::seal::Seal;
use super::skills::Skills;
use super::tasks::Tasks;
use crate::mock::locked::Locked;
use crate::mock::options::MockOptions;
use crate::protocol::modern::{RequestMeta, meta};

#[derive(Debug)]
pub(crate) struct Modern {
    pub(crate) listens: Listens,
    pub(super) tasks: Tasks,
    pub(super) skills: Skills,
    pub(super) seal: Seal,
    /// Who the server is, as `_meta` of results says it.
    server_info: Value,
    complete: String,
    cacheable: String,
    /// What the last request said of its client.
    last: Locked<Option<RequestMeta>>,
}

impl Modern {
    /// Chooses a key, and prepares what every result begins with.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn new(options: &MockOptions) -> io::Result<Self> {
        let server_info = json!({ "name": options.name, "version": options.server_version });
        let meta = json!({ meta::SERVER_INFO: server_info });
        let complete = format!("{{\"resultType\":\"complete\",\"_meta\":{meta}");
        let (ttl, scope) = (options.ttl_ms, options.cache_scope.as_str());
        Ok(Self {
            listens: Listens::new(&server_info),
            tasks: Tasks::default(),
            skills: Skills::new(),
            seal: Seal::random()?,
            cacheable: format!("{complete},\"ttlMs\":{ttl},\"cacheScope\":\"{scope}\""),
            complete,
            server_info,
            last: Locked::default(),
        })
    }

    /// Adds to a result of the handshake era, an object, what the modern one wants in all of them.
    pub(super) fn complete(&self, result: &str) -> String {
        dressed(&self.complete, result)
    }

    /// The same for a result that may be kept.
    pub(super) fn cacheable(&self, result: &str) -> String {
        dressed(&self.cacheable, result)
    }

    /// Returns `_meta` of a result.
    pub(super) fn result_meta(&self) -> Value {
        json!({ meta::SERVER_INFO: self.server_info })
    }

    pub(super) fn note(&self, meta: &RequestMeta) {
        *self.last.lock() = Some(meta.clone());
    }

    /// Returns what the last request of this era said of its client, for the `state` tool.
    pub(crate) fn last_meta(&self) -> Value {
        self.last.lock().as_ref().map_or(Value::Null, |last| {
            json!({
                "protocolVersion": last.version,
                "clientCapabilities": last.capabilities,
                "clientInfo": last.client_info,
                "logLevel": last.log_level,
            })
        })
    }
}

fn dressed(head: &str, result: &str) -> String {
    let members = result.strip_prefix('{').expect("a result is an object");
    let comma = if members.starts_with('}') { "" } else { "," };
    [head, comma, members].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_keeps_its_members_and_gains_those_of_the_era() {
        let options = MockOptions {
            name: "n".to_owned(),
            server_version: "1".to_owned(),
            ttl_ms: 5,
            ..MockOptions::default()
        };
        let modern = Modern::new(&options).unwrap();
        let meta = r#""_meta":{"io.modelcontextprotocol/serverInfo":{"name":"n","version":"1"}}"#;
        assert_eq!(
            modern.complete("{}"),
            format!(r#"{{"resultType":"complete",{meta}}}"#)
        );
        assert_eq!(
            modern.cacheable(r#"{"tools":[]}"#),
            format!(r#"{{"resultType":"complete",{meta},"ttlMs":5,"cacheScope":"public","tools":[]}}"#)
        );
    }
}
