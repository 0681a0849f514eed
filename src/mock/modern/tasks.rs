//! Extension `tasks`: calls that are answered with a task, which ends later and may ask on the way.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::inputs::{missing_capability, requests};
use super::methods::Request;
use super::{clock, inputs};
use crate::mock::event::{Event, Reach};
use crate::mock::locked::Locked;
use crate::mock::message::{invalid_params, parse};
use crate::mock::question::{Answers, Ask};
use crate::mock::script::{Action, Outcome, Step};
use crate::mock::server::Server;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;

pub(super) const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// How long a task can be asked for after it began: as long as the process lives, since none is ever removed.
const TTL_MS: u64 = 3_600_000;
const POLL_INTERVAL_MS: u64 = 100;

/// What a tool would do in a task.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) after: Duration,
    /// A result, an error, or questions.
    pub(crate) outcome: Box<Outcome>,
    /// Whether there is no way but a task.
    pub(crate) is_required: bool,
}

impl Plan {
    /// Returns what a tool would do in a task, or without one where its client knows none.
    pub(crate) fn of(after: Duration, outcome: Outcome) -> Outcome {
        Outcome::Task(Self {
            after,
            outcome: Box::new(outcome),
            is_required: false,
        })
    }

    /// Returns the same without a task: the client waits.
    pub(crate) fn awaited(self) -> Outcome {
        match *self.outcome {
            Outcome::Result(result) => Outcome::Script(vec![Step {
                after: self.after,
                action: Action::Answer(result),
            }]),
            outcome => outcome,
        }
    }
}

/// Every task of this process.
#[derive(Debug, Default)]
pub(super) struct Tasks(Locked<HashMap<String, Task>>);

#[derive(Debug)]
struct Task {
    created: String,
    updated: String,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Working,
    /// Waits for answers.
    Asking(Ask, Answers),
    /// With a result, as JSON.
    Completed(Value),
    Failed(ErrorObject),
    Cancelled,
}

impl Task {
    fn status(&self) -> &'static str {
        match self.progress {
            Progress::Working => "working",
            Progress::Asking(..) => "input_required",
            Progress::Completed(_) => "completed",
            Progress::Failed(_) => "failed",
            Progress::Cancelled => "cancelled",
        }
    }

    fn is_over(&self) -> bool {
        !matches!(self.progress, Progress::Working | Progress::Asking(..))
    }

    fn to_json(&self, id: &str) -> Value {
        json!({
            "taskId": id,
            "status": self.status(),
            "createdAt": self.created,
            "lastUpdatedAt": self.updated,
            "ttlMs": TTL_MS,
            "pollIntervalMs": POLL_INTERVAL_MS,
        })
    }

    /// What `tasks/get` says.
    fn details(&self, id: &str) -> Value {
        let mut details = self.to_json(id);
        match &self.progress {
            Progress::Working | Progress::Cancelled => {}
            Progress::Asking(ask, answers) => {
                let missing = ask
                    .questions
                    .iter()
                    .filter(|question| !answers.contains_key(question.key));
                details["inputRequests"] = requests(missing).into();
            }
            Progress::Completed(result) => details["result"] = result.clone(),
            Progress::Failed(error) => {
                details["error"] = json!({ "code": error.code, "message": error.message });
            }
        }
        details
    }
}

impl Tasks {
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.lock().contains_key(id)
    }
}

/// Begins what a tool planned: in a task, if the client knows tasks.
///
/// # Errors
/// It does not, and there is no other way.
pub(super) fn begin(request: &Request<'_>, plan: Plan) -> Result<Outcome, ErrorObject> {
    if !is_declared(request) {
        if plan.is_required {
            return Err(missing_capability(&json!({ "extensions": { EXTENSION: {} } })));
        }
        return request.settle(plan.awaited());
    }
    let server = request.server;
    let id = new_id().map_err(|error| ErrorObject::new(code::INTERNAL_ERROR, error.to_string()))?;
    let created = clock::now();
    let task = Task {
        updated: created.clone(),
        created,
        progress: Progress::Working,
    };
    let mut result = task.to_json(&id);
    server.modern.tasks.0.lock().insert(id.clone(), task);
    result["resultType"] = "task".into();
    result["_meta"] = server.modern.result_meta();
    let worker = Arc::clone(server);
    server.schedule.after(plan.after, move || {
        worker.advance_task(&id, |task| match task.progress {
            Progress::Working => Some(progress(*plan.outcome)),
            _ => None,
        });
    });
    Ok(Outcome::result(result.to_string()))
}

/// Answers `tasks/get`, `tasks/update` and `tasks/cancel`.
///
/// # Errors
/// The client does not declare tasks, or there is no such task.
pub(super) fn handle(request: &Request<'_>) -> Result<String, ErrorObject> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        task_id: String,
        #[serde(borrow)]
        input_responses: Option<&'a RawValue>,
    }
    if !is_declared(request) {
        return Err(missing_capability(&json!({ "extensions": { EXTENSION: {} } })));
    }
    let Params {
        task_id: id,
        input_responses,
    } = parse(Some(request.params))?;
    let server = request.server;
    let unknown = || invalid_params(format!("there is no task {id}"));
    match &*request.message.method() {
        method::TASKS_GET => {
            let tasks = server.modern.tasks.0.lock();
            tasks
                .get(&id)
                .map(|task| task.details(&id).to_string())
                .ok_or_else(unknown)
        }
        method::TASKS_UPDATE => {
            let responses = inputs::responses(input_responses)?;
            let found = server.advance_task(&id, |task| task.answered(responses));
            found.then(|| "{}".to_owned()).ok_or_else(unknown)
        }
        _ => {
            let found = server.advance_task(&id, |task| (!task.is_over()).then_some(Progress::Cancelled));
            found.then(|| "{}".to_owned()).ok_or_else(unknown)
        }
    }
}

impl Task {
    /// Takes answers to what it asks. Returns how it goes on.
    fn answered(&mut self, responses: Answers) -> Option<Progress> {
        let Progress::Asking(ask, answers) = &mut self.progress else {
            return None;
        };
        let asked = |key: &String| ask.questions.iter().any(|question| question.key == key);
        answers.extend(responses.into_iter().filter(|(key, _)| asked(key)));
        let is_complete = ask
            .questions
            .iter()
            .all(|question| answers.contains_key(question.key));
        is_complete.then(|| progress((ask.then)(answers)))
    }
}

impl Server {
    /// Lets a task come further, and tells who listens. Returns whether there is such a task.
    fn advance_task(self: &Arc<Self>, id: &str, step: impl FnOnce(&mut Task) -> Option<Progress>) -> bool {
        let mut tasks = self.modern.tasks.0.lock();
        let Some(task) = tasks.get_mut(id) else {
            return false;
        };
        let Some(progress) = step(task) else {
            return true;
        };
        task.progress = progress;
        task.updated = clock::now();
        let details = task.details(id);
        drop(tasks);
        self.tell_now(&Event::Task(id.to_owned(), details), Reach::Subscribers);
        true
    }
}

fn progress(outcome: Outcome) -> Progress {
    match outcome {
        Outcome::Result(result) => {
            Progress::Completed(serde_json::from_str(&result).expect("the mock's results are JSON"))
        }
        Outcome::Error(error) => Progress::Failed(error),
        Outcome::Ask(ask) => Progress::Asking(ask, Answers::new()),
        Outcome::Script(_) | Outcome::Listen(_) | Outcome::Task(_) => Progress::Failed(ErrorObject::new(
            code::INTERNAL_ERROR,
            "a task ends with a result, an error or questions",
        )),
    }
}

fn is_declared(request: &Request<'_>) -> bool {
    let extensions = request.meta.capabilities.get("extensions");
    extensions
        .and_then(|extensions| extensions.get(EXTENSION))
        .is_some_and(Value::is_object)
}

/// Nobody guesses the id of another's task.
fn new_id() -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
