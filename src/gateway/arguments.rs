//! Checking the arguments of `tools/call` against the tool's own schema, where the server's configuration asks for it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tracing::{trace, warn};

use super::gateway::Gateway;
use crate::config::{ServerName, ServerSpec, ValidateArguments};
use crate::protocol::Message;
use crate::protocol::member::member;
use crate::protocol::names::method;
use crate::registry::Server;
use crate::schema::{SchemaCache, Unchecked};

/// Longest wait for a check: nearly all take microseconds, and this is a help for the model, which servers do not rely on.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// The arguments of a call, and the schema that the server has listed for its tool.
#[derive(Debug)]
pub(super) struct ArgumentsCheck {
    schemas: Arc<SchemaCache>,
    server: ServerName,
    tool: String,
    schema: Arc<str>,
    arguments: String,
    mode: ValidateArguments,
}

impl ArgumentsCheck {
    /// Returns what there is to check of a request.
    pub(super) fn of(
        gateway: &Gateway,
        server: &Server,
        spec: &ServerSpec,
        message: &Message,
    ) -> Option<Self> {
        let mode = spec.validate_arguments;
        if mode == ValidateArguments::Off || message.method() != method::TOOLS_CALL {
            return None;
        }
        let tool = message.name()?;
        let schema = server.catalog().facts("tool", &tool)?.input_schema?;
        let params = message.params()?;
        let arguments = member(&params, "arguments").map_or("{}", |arguments| arguments.get());
        Some(Self {
            schemas: gateway.schemas.clone(),
            server: server.name().clone(),
            tool: tool.into_owned(),
            schema,
            arguments: arguments.to_owned(),
            mode,
        })
    }

    /// Returns the result of a call whose arguments do not fit, with `isError`, so that the model can mend them
    /// (SEP-1303). `None` lets the call pass, as does a schema that cannot be used, or not in time: it is the server's,
    /// which checks for itself.
    pub(super) async fn result(self, deadline: Instant) -> Option<Vec<u8>> {
        let deadline = deadline.min(Instant::now() + WAIT_MAX).into_std();
        let Self {
            schemas,
            server,
            tool,
            schema,
            arguments,
            mode,
        } = self;
        let problems = schemas.problems_until(&schema, arguments, 1, deadline).await;
        let problem = match problems {
            Ok(problems) => problems.into_iter().next()?,
            Err(Unchecked::Unusable(_)) => return None,
            Err(error) => {
                warn!(%server, tool, %error, "arguments not checked");
                return None;
            }
        };
        warn!(%server, tool, "arguments do not fit the tool's input schema");
        trace!(problem, "what does not fit, with the argument itself");
        if mode == ValidateArguments::Warn {
            return None;
        }
        let text = format!("The arguments do not fit the input schema of {tool}: arguments{problem}");
        let result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
        Some(result.to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a schema that wants an object after having doubled its work so many times.
    fn doubling(times: usize) -> String {
        let step = |n: usize| {
            let next = n + 1;
            format!(r##""d{n}":{{"allOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}},"##)
        };
        let steps: String = (0..times).map(step).collect();
        format!(r##"{{"$defs":{{{steps}"d{times}":{{"type":"object"}}}},"$ref":"#/$defs/d0"}}"##)
    }

    async fn result(schema: &str, mode: ValidateArguments, time: Duration) -> Option<String> {
        let check = ArgumentsCheck {
            schemas: Arc::default(),
            server: "mock".parse().expect("a name"),
            tool: "sleep".to_owned(),
            schema: schema.into(),
            arguments: "[]".to_owned(),
            mode,
        };
        let result = check.result(Instant::now() + time).await;
        result.map(|result| String::from_utf8(result).expect("JSON"))
    }

    #[tokio::test]
    async fn a_check_that_takes_long_is_not_waited_for() {
        let minute = Duration::from_secs(60);
        // One that fails ends there; one that does not takes all of its steps.
        let (short, long) = (doubling(2), doubling(26).replace(r#""object""#, r#""array""#));
        let refused = result(&short, ValidateArguments::Enforce, minute).await;
        assert!(
            refused
                .is_some_and(|result| result.contains("do not fit the input schema of sleep: arguments: "))
        );
        assert_eq!(result(&short, ValidateArguments::Warn, minute).await, None);
        let start = Instant::now();
        let soon = Duration::from_millis(10);
        assert_eq!(result(&long, ValidateArguments::Enforce, soon).await, None);
        assert!(start.elapsed() < WAIT_MAX, "{:?}", start.elapsed());
        assert_eq!(result(&long, ValidateArguments::Enforce, minute).await, None);
        assert!(start.elapsed() < 10 * WAIT_MAX, "{:?}", start.elapsed());
        assert_eq!(result("1", ValidateArguments::Enforce, minute).await, None);
    }
}
