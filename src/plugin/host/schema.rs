//! `schema`: the gateway's compiled JSON Schema validators. The call waits for a check until its deadline; a check that goes
//! on after that takes one of few threads from other checks, and nothing else.

use std::sync::Arc;

use crate::plugin::bindings::host::schema::Host;
use crate::plugin::error::{ErrorKind, Stopped};
use crate::plugin::state::State;
use crate::protocol::document::Document;
use crate::protocol::scan::Span;
use crate::schema::Unchecked;

/// Most problems of one answer.
const PROBLEMS_MAX: usize = 16;

/// A value of a message.
struct Part {
    message: Arc<Document>,
    /// Without it, an empty object.
    span: Option<Span>,
}

impl AsRef<str> for Part {
    fn as_ref(&self) -> &str {
        self.span.clone().map_or("{}", |span| self.message.text(span))
    }
}

impl State {
    fn granted(&mut self) -> Result<(), Stopped> {
        self.count()?;
        match self.shared.grants.schema {
            true => Ok(()),
            false => Err(Stopped::new(ErrorKind::HostCall, "schema is not granted")),
        }
    }

    async fn problems(&self, schema: &str, part: Part) -> Result<Vec<String>, Unchecked> {
        let schemas = &self.shared.schemas;
        schemas
            .problems_until(schema, part, PROBLEMS_MAX, self.deadline)
            .await
    }
}

fn judged(problems: Vec<String>) -> Result<(), Vec<String>> {
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

impl Host for State {
    async fn validate(
        &mut self,
        pointer: String,
        schema: String,
    ) -> wasmtime::Result<Result<(), Vec<String>>> {
        self.granted()?;
        let Some(subject) = self.subject.clone() else {
            return Ok(Err(vec!["there is no message outside of a hook".to_owned()]));
        };
        let Some(span) = subject.message.at(&pointer).map_err(Stopped::from)? else {
            return Ok(Err(vec![format!("there is nothing at {pointer:?}")]));
        };
        let part = Part {
            message: subject.message,
            span: Some(span),
        };
        match self.problems(&schema, part).await {
            Ok(problems) => Ok(judged(problems)),
            Err(Unchecked::Unusable(error)) => Ok(Err(vec![error.to_string()])),
            Err(late @ Unchecked::TooLong) => Err(Stopped::new(ErrorKind::Timeout, late.to_string()).into()),
            Err(busy @ Unchecked::Busy) => Err(Stopped::new(ErrorKind::Overload, busy.to_string()).into()),
        }
    }

    async fn validate_arguments(&mut self) -> wasmtime::Result<Result<(), Vec<String>>> {
        self.granted()?;
        let Some(subject) = self.subject.clone() else {
            return Ok(Ok(()));
        };
        let Some(schema) = subject.input_schema else {
            return Ok(Ok(()));
        };
        // A call without arguments is one with none of them.
        let span = subject.message.at("/params/arguments").map_err(Stopped::from)?;
        let message = subject.message;
        match self.problems(&schema, Part { message, span }).await {
            Ok(problems) => Ok(judged(problems)),
            // A schema of the server's that cannot be used lets pass: the server checks for itself.
            Err(Unchecked::Unusable(_)) => Ok(Ok(())),
            // Nor is one that takes long the plugin's fault; but that is no answer.
            Err(error) => Err(Stopped::new(ErrorKind::Overload, error.to_string()).into()),
        }
    }
}
