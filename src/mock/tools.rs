//! `tools/call`: which function runs for which name, and since which protocol version.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::arguments::{Arguments, BadArgument};
use super::content;
use super::message::invalid_params;
use super::question::Ask;
use super::script::Outcome;
use super::server::Server;
use super::{fixture_tools, input_tools, probe_tools, task_tools};
use crate::protocol::modern::RequestMeta;
use crate::protocol::{ProtocolVersion, RequestId};

/// A call on its way into a tool.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) server: &'a Arc<Server>,
    /// As they came.
    pub(crate) raw: Option<&'a RawValue>,
    pub(crate) progress_token: Option<RequestId>,
    /// What the request says of its client; none in the handshake era.
    pub(crate) modern: Option<&'a RequestMeta>,
}

impl Call<'_> {
    pub(crate) fn arguments(&self) -> Result<Arguments, BadArgument> {
        Arguments::parse(self.raw)
    }

    /// Returns whether the client declares a capability.
    pub(crate) fn declares(&self, capability: &str) -> bool {
        let declared = match self.modern {
            Some(meta) => meta.capabilities.get(capability).map(Value::is_object),
            None => {
                let peer = self.server.peer.lock();
                peer.capabilities.get(capability).map(Value::is_object)
            }
        };
        declared == Some(true)
    }

    /// Asks the client, if it may be asked.
    pub(crate) fn ask(&self, ask: Ask) -> ToolResult {
        if self.modern.is_none() {
            let peer = self.server.peer.lock();
            peer.may_all_be_asked(&ask).map_err(BadArgument)?;
        }
        Ok(Outcome::Ask(ask))
    }
}

/// A tool that cannot do what it was asked to: the call succeeds, with `isError` and this text.
pub(crate) type ToolResult = Result<Outcome, BadArgument>;

/// One tool.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The oldest protocol version in which what the tool does exists.
    pub(crate) since: ProtocolVersion,
    pub(crate) run: fn(&Call<'_>) -> ToolResult,
}

impl Tool {
    pub(crate) const fn new(name: &'static str, run: fn(&Call<'_>) -> ToolResult) -> Self {
        Self {
            name,
            since: ProtocolVersion::V2024_11_05,
            run,
        }
    }

    pub(crate) const fn since(mut self, since: ProtocolVersion) -> Self {
        self.since = since;
        self
    }
}

/// Returns every tool, in the order in which they are listed.
pub(crate) fn all() -> impl Iterator<Item = &'static Tool> {
    let tables = [
        fixture_tools::TOOLS,
        input_tools::TOOLS,
        probe_tools::TOOLS,
        task_tools::TOOLS,
    ];
    tables.into_iter().flatten()
}

/// Returns the tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    // What benchmarks call is found first.
    let (first, later) = (probe_tools::TOOLS, all());
    first.iter().chain(later).find(|tool| tool.name == name)
}

/// Runs the tool `name`, or says that there is none.
pub(crate) fn call(name: &str, call: &Call<'_>) -> Outcome {
    let is_there = |tool: &&Tool| call.modern.is_some() || tool.since < ProtocolVersion::V2026_07_28;
    let Some(tool) = find(name).filter(is_there) else {
        if call.server.additions.lock().has_tool(name) {
            return Outcome::result(content::text(&format!("{name} was added by the change tool")));
        }
        return invalid_params(format!("Unknown tool: {name}")).into();
    };
    (tool.run)(call).unwrap_or_else(|BadArgument(why)| Outcome::result(content::failure(&why)))
}
