//! What a message names: the tool, prompt, resource or task that it is about.

use crate::plugin::call::CatalogItem;
use crate::protocol::Message;
use crate::protocol::document::{Ambiguous, Document};
use crate::protocol::names::method;
use crate::registry::Server;

/// Something that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// As in `catalog-item`.
    pub(super) kind: &'static str,
    pub(super) name: String,
}

/// Why a message cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unclear {
    /// It has to name something, and does not: the pointer at which it should.
    Nothing(&'static str),
    /// What it names is anybody's guess.
    Ambiguous(Ambiguous),
}

impl From<Ambiguous> for Unclear {
    fn from(ambiguous: Ambiguous) -> Self {
        Self::Ambiguous(ambiguous)
    }
}

/// Where a method names what.
struct Place {
    method: &'static str,
    kind: &'static str,
    pointer: &'static str,
}

const fn place(method: &'static str, kind: &'static str, pointer: &'static str) -> Place {
    Place {
        method,
        kind,
        pointer,
    }
}

/// What is in no catalog.
const TASK: &str = "task";
const TASK_ID: &str = "/params/taskId";

/// The methods that are about one thing. `completion/complete` is, too: see [`reference`].
const PLACES: &[Place] = &[
    place(method::TOOLS_CALL, "tool", "/params/name"),
    place(method::PROMPTS_GET, "prompt", "/params/name"),
    place(method::READ, "resource", "/params/uri"),
    place(method::SUBSCRIBE, "resource", "/params/uri"),
    place(method::UNSUBSCRIBE, "resource", "/params/uri"),
    place(method::RESOURCE_UPDATED, "resource", "/params/uri"),
    place(method::TASKS_GET, TASK, TASK_ID),
    place(method::TASKS_UPDATE, TASK, TASK_ID),
    place(method::TASKS_RESULT, TASK, TASK_ID),
    place(method::TASKS_CANCEL, TASK, TASK_ID),
    place(method::TASK_STATUS, TASK, TASK_ID),
    place(method::TASKS_STATUS, TASK, TASK_ID),
];

/// Returns what a request or notification names; `None` where its method names nothing, or is unknown.
///
/// # Errors
/// The method is about one thing, and the message does not say clearly which.
pub(super) fn named(method: &str, message: &Document) -> Result<Option<Named>, Unclear> {
    if method == method::COMPLETE {
        return reference(message).map(Some);
    }
    let Some(place) = PLACES.iter().find(|place| place.method == method) else {
        return Ok(None);
    };
    let name = string_at(message, place.pointer)?.ok_or(Unclear::Nothing(place.pointer))?;
    Ok(Some(Named {
        kind: place.kind,
        name,
    }))
}

/// Returns whether a request is about something that its server lists.
pub(super) fn is_about_an_item(message: &Message) -> bool {
    let method = message.method();
    let in_places = |place: &Place| place.method == method && place.kind != TASK;
    method == method::COMPLETE || PLACES.iter().any(in_places)
}

/// `completion/complete` names a prompt, or a resource by its template (2025-11-25, "Completion").
fn reference(message: &Document) -> Result<Named, Unclear> {
    const TYPE: &str = "/params/ref/type";
    let (kind, pointer) = match string_at(message, TYPE)?.as_deref() {
        Some("ref/prompt") => ("prompt", "/params/ref/name"),
        Some("ref/resource") => ("resource-template", "/params/ref/uri"),
        _ => return Err(Unclear::Nothing(TYPE)),
    };
    Ok(Named {
        kind,
        name: string_at(message, pointer)?.ok_or(Unclear::Nothing(pointer))?,
    })
}

/// Returns the text that stands at a pointer, if a text stands there.
pub(super) fn string_at(message: &Document, pointer: &str) -> Result<Option<String>, Ambiguous> {
    let span = message.at(pointer)?;
    Ok(span.and_then(|span| serde_json::from_str(message.text(span)).ok()))
}

impl Named {
    /// Returns it with what the server has listed of it.
    pub(super) fn item(self, server: &Server) -> CatalogItem {
        listed_item(self.kind, self.name, server)
    }
}

/// Returns an item of a server with what the server has listed of it.
pub(super) fn listed_item(kind: &str, name: String, server: &Server) -> CatalogItem {
    let facts = server.catalog().facts(kind, &name).unwrap_or_default();
    CatalogItem {
        kind: kind.to_owned(),
        name,
        server: server.name().to_string(),
        description: facts.description.as_deref().map(str::to_owned),
        annotations: facts.annotations.as_deref().map(str::to_owned),
    }
}

/// Returns a server as an item.
pub(super) fn server_item(name: &str) -> CatalogItem {
    CatalogItem {
        kind: "server".to_owned(),
        name: name.to_owned(),
        server: name.to_owned(),
        description: None,
        annotations: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(params: &str) -> Document {
        Document::new(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#).into())
    }

    #[track_caller]
    fn check(method: &str, params: &str, expect: Option<(&'static str, &str)>) {
        let expect = expect.map(|(kind, name)| Named {
            kind,
            name: name.to_owned(),
        });
        assert_eq!(named(method, &document(params)), Ok(expect), "{method} {params}");
    }

    #[test]
    fn each_method_names_what_it_is_about() {
        check("tools/call", r#"{"name":"re\u0061d"}"#, Some(("tool", "read")));
        check("prompts/get", r#"{"name":"p"}"#, Some(("prompt", "p")));
        for method in [
            "resources/read",
            "resources/subscribe",
            "resources/unsubscribe",
            "notifications/resources/updated",
        ] {
            check(method, r#"{"uri":"a:b"}"#, Some(("resource", "a:b")));
        }
        check(
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p"}}"#,
            Some(("prompt", "p")),
        );
        check(
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"a:{b}"}}"#,
            Some(("resource-template", "a:{b}")),
        );
        for method in [
            "tasks/get",
            "tasks/result",
            "tasks/cancel",
            "notifications/tasks/status",
            "notifications/tasks",
        ] {
            check(method, r#"{"taskId":"7"}"#, Some(("task", "7")));
        }
        check("tools/list", r#"{"name":"x"}"#, None);
        check("unheard/of", r#"{"name":"x"}"#, None);
    }

    #[test]
    fn what_must_name_something_must_do_so_clearly() {
        for (method, params) in [
            ("tools/call", r#"{}"#),
            ("tools/call", r#"{"name":["read"]}"#),
            ("tools/call", r#"{"name":"\ud800"}"#),
            ("tools/call", r#"{"name":"a","\u006eame":"b"}"#),
            ("resources/read", r#"{"name":"x"}"#),
            ("completion/complete", r#"{"ref":{"type":"ref/tool","name":"x"}}"#),
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/prompt","uri":"x"}}"#,
            ),
            ("completion/complete", r#"{}"#),
            ("tasks/cancel", r#"{"taskId":7}"#),
        ] {
            assert!(named(method, &document(params)).is_err(), "{method} {params}");
        }
    }
}
