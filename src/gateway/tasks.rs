//! Whose task is whose in a process that several clients share (2025-11-25, "Tasks"; 2026-07-28, extension `tasks`).
//!
//! The server sees one client and would give any of its tasks to whoever names it. So the gateway takes note of who
//! began which, and what is not known to be a client's own is not there for it: not in lists, not by its id, not in what it
//! listens to. A task is its principal's, in its mode; that of an anonymous client with a handshake is its session's alone.
//! Where there are no sessions, all that an anonymous client has is the id, which nobody can guess.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use memchr::memmem;

use super::conversation::Session;
use super::error::GatewayError;
use super::need::Need;
use super::shared_hub::SharedHub;
use crate::protocol::document::{Ambiguous, Document};
use crate::protocol::edit::retain;
use crate::protocol::member::{member, string_member};
use crate::protocol::modern::TASKS;
use crate::protocol::names::method;
use crate::protocol::{Era, Message, ServerFacts};
use crate::session::{Caller, SessionId};
use crate::upstream::{Connection, Lease, SCAN};

/// Tasks of one process that are remembered; beyond it the oldest one is forgotten, and cannot be reached any more.
const TASKS_MAX: usize = 4096;
/// Bytes of a task's id; a longer one is not remembered.
const ID_BYTES_MAX: usize = 256;

/// Whose a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Owner {
    Caller(Caller),
    Session(SessionId),
}

impl Owner {
    fn of(session: &Session) -> Self {
        match (session.caller().subject(), session.era()) {
            (None, Era::Handshake) => Self::Session(session.id()),
            _ => Self::Caller(session.caller().clone()),
        }
    }
}

/// The tasks of one process. A std mutex: held for look-ups and single changes.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    owners: HashMap<String, Owner>,
    /// The ids, oldest first.
    ids: VecDeque<String>,
}

impl Tasks {
    /// Refuses a request that is about a task of somebody else, or of nobody; without `tasks` all are nobody's. What the
    /// server would not know is refused as it would refuse it, once it has said what it knows.
    ///
    /// # Errors
    /// It is; or it does not say which task it is about.
    pub(super) fn check(
        tasks: Option<&Self>,
        session: &Session,
        lease: &Lease,
        request: &Message,
    ) -> Result<(), GatewayError> {
        let name = request.method();
        if !name.starts_with("tasks/") || name == method::TASKS_LIST {
            return Ok(());
        }
        let params = request.params().unwrap_or_default();
        let id = string_member(&params, "taskId");
        let is_own = |id: &String| tasks.is_some_and(|tasks| tasks.is_of(id, &Owner::of(session)));
        if id.as_ref().is_some_and(is_own) {
            return Ok(());
        }
        let connection = lease.upstream().current();
        let facts = connection.as_deref().and_then(Connection::facts);
        if facts.is_some_and(|facts| !is_of_tasks(&name, facts)) {
            return Err(GatewayError::NoSuchMethod(name.into_owned()));
        }
        let problem = match id {
            Some(_) => "there is no such task of this client",
            None => "params.taskId is missing",
        };
        Err(GatewayError::InvalidParams(problem.to_owned()))
    }

    /// Leaves of the ids of tasks those of a session's client.
    pub(super) fn retain_own(&self, session: &Session, ids: &mut BTreeSet<String>) {
        let owner = Owner::of(session);
        ids.retain(|id| self.is_of(id, &owner));
    }

    fn is_of(&self, id: &str, owner: &Owner) -> bool {
        self.lock().owners.get(id) == Some(owner)
    }

    /// Takes note of a task. Whoever was told of an id first keeps it.
    fn note(&self, id: String, owner: Owner) {
        let mut book = self.lock();
        if id.len() > ID_BYTES_MAX || book.owners.contains_key(&id) {
            return;
        }
        if book.ids.len() >= TASKS_MAX
            && let Some(oldest) = book.ids.pop_front()
        {
            book.owners.remove(&oldest);
        }
        book.ids.push_back(id.clone());
        book.owners.insert(id, owner);
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no holder panics")
    }
}

/// Returns whether this is a method for tasks in the era of a server that may have some. With a handshake there are those
/// that have them and do not announce it.
fn is_of_tasks(name: &str, facts: &ServerFacts) -> bool {
    let announces = |extension| facts.capability("extensions")?.get(extension);
    let (its_own, may_have_some) = match facts.era() {
        Era::Handshake => (method::TASKS_RESULT, true),
        Era::Modern => (method::TASKS_UPDATE, announces(TASKS).is_some()),
    };
    may_have_some && [method::TASKS_GET, method::TASKS_CANCEL, its_own].contains(&name)
}

/// What the answer to a request will mean for the tasks of a shared process.
#[derive(Debug)]
pub(super) enum TaskAnswer {
    /// It may begin a task, which is the client's.
    Begins(Arc<SharedHub>),
    /// It lists tasks, of which the client sees its own.
    Lists(Arc<SharedHub>),
}

impl TaskAnswer {
    /// Returns what the answer to a request will mean; `None` for most.
    pub(super) fn of(session: &Session, request: &Message, hub: &Arc<SharedHub>) -> Option<Self> {
        if request.method() == method::TASKS_LIST {
            return Some(Self::Lists(hub.clone()));
        }
        if request.method() != method::TOOLS_CALL {
            return None;
        }
        let params = request.params()?;
        let wants_task = || memmem::find(&params, b"\"task\"").is_some() && member(&params, "task").is_some();
        // A task that nobody takes note of is nobody's. Of the extension the server decides.
        let may_begin = Need::Tasks.is_met_by(session) || wants_task();
        may_begin.then(|| Self::Begins(hub.clone()))
    }

    /// Takes note of an answer and returns it as its client may see it.
    ///
    /// # Errors
    /// It does not say clearly what it lists.
    pub(super) fn arrive(&self, session: &Session, answer: Message) -> Result<Message, GatewayError> {
        let Some(result) = answer.result() else {
            return Ok(answer);
        };
        match self {
            Self::Begins(hub) => {
                if let Some(id) = begun(&result) {
                    hub.tasks().note(id, Owner::of(session));
                }
                Ok(answer)
            }
            Self::Lists(hub) => own_only(hub.tasks(), session, answer),
        }
    }
}

/// Returns the task that a result says has begun. The extension has it without a wrapper.
fn begun(result: &[u8]) -> Option<String> {
    memmem::find(result, b"taskId")?;
    if let Some(task) = member(result, "task") {
        return string_member(task.get().as_bytes(), "taskId");
    }
    let is_task = string_member(result, "resultType").as_deref() == Some("task");
    is_task.then(|| string_member(result, "taskId")).flatten()
}

/// Leaves of a list of tasks those of this client.
fn own_only(tasks: &Tasks, session: &Session, answer: Message) -> Result<Message, GatewayError> {
    const LIST: &str = "/result/tasks";
    let document = Document::new(answer.bytes().clone());
    let owner = Owner::of(session);
    let unclear = |problem: String| GatewayError::Unjudgeable {
        server: session.attachment().server().name().clone(),
        problem,
    };
    let own = || -> Result<_, Ambiguous> {
        let mut own = BTreeSet::new();
        let list = document.at(LIST)?;
        let level = list.map(|list| document.level(&list)).transpose()?.flatten();
        for (index, entry) in level.iter().flat_map(|level| level.entries()).enumerate() {
            let id = document.member(&entry.value, "taskId")?;
            let id = id.and_then(|id| serde_json::from_str::<String>(document.text(id)).ok());
            if id.is_some_and(|id| tasks.is_of(&id, &owner)) {
                own.insert(index);
            }
        }
        retain(&document, LIST, |index| own.contains(&index))
    };
    let left = own().map_err(|ambiguous| unclear(ambiguous.to_string()))?;
    let left = left.ok_or_else(|| unclear("its result.tasks is no list".to_owned()))?;
    Message::parse(left, SCAN).map_err(GatewayError::InvalidMessage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(number: usize) -> Owner {
        Owner::Caller(Caller {
            principal: format!("p{number}").into(),
            mode: None,
        })
    }

    #[test]
    fn a_task_is_of_whom_it_was_begun_for_and_stays_so() {
        let tasks = Tasks::default();
        tasks.note("a".to_owned(), owner(1));
        tasks.note("a".to_owned(), owner(2));
        assert!(tasks.is_of("a", &owner(1)));
        assert!(!tasks.is_of("a", &owner(2)));
        assert!(!tasks.is_of("b", &owner(1)));
        tasks.note("x".repeat(ID_BYTES_MAX + 1), owner(1));
        assert!(!tasks.is_of(&"x".repeat(ID_BYTES_MAX + 1), &owner(1)));
    }

    #[test]
    fn a_result_says_which_task_has_begun() {
        let check = |result: &str, expect: Option<&str>| {
            assert_eq!(begun(result.as_bytes()).as_deref(), expect, "{result}");
        };
        check(r#"{"task":{"taskId":"a"}}"#, Some("a"));
        check(r#"{"resultType":"task","taskId":"b"}"#, Some("b"));
        check(r#"{"resultType":"complete","taskId":"c"}"#, None);
        check(r#"{"content":[{"type":"text","text":"taskId"}]}"#, None);
    }

    #[test]
    fn the_oldest_is_forgotten_where_there_are_too_many() {
        let tasks = Tasks::default();
        for number in 0..=TASKS_MAX {
            tasks.note(number.to_string(), owner(1));
        }
        assert!(!tasks.is_of("0", &owner(1)));
        assert!(tasks.is_of("1", &owner(1)) && tasks.is_of(&TASKS_MAX.to_string(), &owner(1)));
        assert_eq!(tasks.lock().owners.len(), TASKS_MAX);
    }
}
