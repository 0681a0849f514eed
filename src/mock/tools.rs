//! `tools/call`: which function runs for which name, and since which protocol version.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::arguments::{Arguments, BadArgument};
use super::content;
use super::message::invalid_params;
use super::script::Outcome;
use super::server::Server;
use super::{fixture_tools, probe_tools};
use crate::protocol::{ProtocolVersion, RequestId};

/// A call on its way into a tool.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) server: &'a Arc<Server>,
    /// As they came.
    pub(crate) raw: Option<&'a RawValue>,
    pub(crate) progress_token: Option<RequestId>,
}

impl Call<'_> {
    pub(crate) fn arguments(&self) -> Result<Arguments, BadArgument> {
        Arguments::parse(self.raw)
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

/// Returns the tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static Tool> {
    probe_tools::TOOLS
        .iter()
        .chain(fixture_tools::TOOLS)
        .find(|tool| tool.name == name)
}

/// Runs the tool `name`, or says that there is none.
pub(crate) fn call(name: &str, call: &Call<'_>) -> Outcome {
    let Some(tool) = find(name) else {
        if call.server.additions.lock().has_tool(name) {
            return Outcome::result(content::text(&format!("{name} was added by the change tool")));
        }
        return invalid_params(format!("Unknown tool: {name}")).into();
    };
    (tool.run)(call).unwrap_or_else(|BadArgument(why)| Outcome::result(content::failure(&why)))
}
