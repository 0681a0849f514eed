//! Checking the arguments of `tools/call` against the tool's own schema, where the server's configuration asks for it.

use serde_json::json;
use tracing::{trace, warn};

use super::gateway::Gateway;
use crate::config::ValidateArguments;
use crate::protocol::Message;
use crate::protocol::member::member;
use crate::registry::Server;

impl Gateway {
    /// Returns the result of a call whose arguments do not fit, with `isError`, so that the model can mend them
    /// (SEP-1303). `None` lets the call pass.
    pub(super) fn check_arguments(
        &self,
        server: &Server,
        mode: ValidateArguments,
        message: &Message,
    ) -> Option<Vec<u8>> {
        if mode == ValidateArguments::Off {
            return None;
        }
        let tool = message.name()?;
        let schema = server.catalog().facts("tool", &tool)?.input_schema?;
        let params = message.params()?;
        let arguments = member(&params, "arguments").map_or("{}", |arguments| arguments.get());
        let problem = self.schemas.check(&schema, arguments)?;
        warn!(server = %server.name(), tool = &*tool, "arguments do not fit the tool's input schema");
        trace!(problem, "what does not fit, with the argument itself");
        if mode == ValidateArguments::Warn {
            return None;
        }
        let text = format!("The arguments do not fit the input schema of {tool}: {problem}");
        let result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        Some(result.to_string().into_bytes())
    }
}
