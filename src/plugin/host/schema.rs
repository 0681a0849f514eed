//! `schema`: the gateway's compiled JSON Schema validators.

use crate::plugin::bindings::host::schema::Host;
use crate::plugin::error::{ErrorKind, Stopped};
use crate::plugin::state::State;

/// Most problems of one answer.
const PROBLEMS_MAX: usize = 16;

impl State {
    fn granted(&mut self) -> Result<(), Stopped> {
        self.count()?;
        match self.shared.grants.schema {
            true => Ok(()),
            false => Err(Stopped::new(ErrorKind::HostCall, "schema is not granted")),
        }
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
    fn validate(&mut self, pointer: String, schema: String) -> wasmtime::Result<Result<(), Vec<String>>> {
        self.granted()?;
        let Some(subject) = &self.subject else {
            return Ok(Err(vec!["there is no message outside of a hook".to_owned()]));
        };
        let Some(span) = subject.message.at(&pointer).map_err(Stopped::from)? else {
            return Ok(Err(vec![format!("there is nothing at {pointer:?}")]));
        };
        let problems = self
            .shared
            .schemas
            .problems(&schema, subject.message.text(span), PROBLEMS_MAX);
        Ok(problems.map_or_else(|error| Err(vec![error.to_string()]), judged))
    }

    fn validate_arguments(&mut self) -> wasmtime::Result<Result<(), Vec<String>>> {
        self.granted()?;
        let Some(subject) = &self.subject else {
            return Ok(Ok(()));
        };
        let Some(schema) = &subject.input_schema else {
            return Ok(Ok(()));
        };
        let arguments = subject.message.at("/params/arguments").map_err(Stopped::from)?;
        // A call without arguments is one with none of them.
        let arguments = arguments.map_or("{}", |span| subject.message.text(span));
        // A schema of the server's that cannot be used lets pass: the server checks for itself.
        let problems = self.shared.schemas.problems(schema, arguments, PROBLEMS_MAX);
        Ok(judged(problems.unwrap_or_default()))
    }
}
