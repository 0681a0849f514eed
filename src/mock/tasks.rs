//! Tasks (2025-11-25, "Tasks"), as far as a test needs them: a call with `task` is over at once, and its result is kept for
//! whoever asks for it by its id. They are not announced, and the ids are easy to guess.

use serde::Deserialize;
use serde_json::{Value, json};

use super::message::{invalid_params, parse};
use super::script::Outcome;
use crate::protocol::reply::ErrorObject;

/// The results by their ids, which are 1, 2, 3, ...; none for a task that was taken back.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Vec<Option<String>>);

impl Tasks {
    /// Keeps what a call came to and returns what is said of the task.
    pub(crate) fn begin(&mut self, outcome: Outcome) -> Outcome {
        let Outcome::Result(result) = outcome else {
            return invalid_params("only what is over at once can be a task here").into();
        };
        self.0.push(Some(result.into_owned()));
        Outcome::result(json!({ "task": self.shown(self.0.len()) }).to_string())
    }

    /// Answers a request about tasks.
    pub(crate) fn handle(&mut self, method: &str, params: Option<&[u8]>) -> Result<Outcome, ErrorObject> {
        if method == "tasks/list" {
            let tasks: Vec<Value> = (1..=self.0.len()).map(|number| self.shown(number)).collect();
            return Ok(Outcome::result(json!({ "tasks": tasks }).to_string()));
        }
        let number = self.number(params)?;
        match method {
            "tasks/cancel" => self.0[number - 1] = None,
            "tasks/result" => {
                let result = self.0[number - 1].clone();
                let gone = || invalid_params("it was cancelled");
                return result.map(Outcome::result).ok_or_else(gone);
            }
            _ => {}
        }
        Ok(Outcome::result(self.shown(number).to_string()))
    }

    fn number(&self, params: Option<&[u8]>) -> Result<usize, ErrorObject> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params {
            task_id: String,
        }
        let Params { task_id } = parse(params)?;
        let number = task_id.parse().ok();
        let known = number.filter(|number| (1..=self.0.len()).contains(number));
        known.ok_or_else(|| invalid_params(format!("there is no task {task_id}")))
    }

    fn shown(&self, number: usize) -> Value {
        let is_cancelled = self.0[number - 1].is_none();
        json!({
            "taskId": number.to_string(),
            "status": if is_cancelled { "cancelled" } else { "completed" },
            "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z",
            "ttl": null,
        })
    }
}
