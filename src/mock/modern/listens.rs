//! `subscriptions/listen`: who wants to hear of what, until it is cancelled or the server ends it.

use std::collections::BTreeSet;
use std::ops::Not;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::mock::catalogue::Kind;
use crate::mock::event::{Event, Reach};
use crate::mock::locked::Locked;
use crate::mock::message::{self, raw};
use crate::mock::script::Farewell;
use crate::mock::server::{Answer, Server};
use crate::protocol::RequestId;
use crate::protocol::modern::meta;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;

/// What a client wants to hear of; `params.notifications` of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Filter {
    #[serde(skip_serializing_if = "Not::not")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "Not::not")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "Not::not")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) resource_subscriptions: BTreeSet<String>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) task_ids: BTreeSet<String>,
}

/// The listens that are open, by the ids of their requests.
#[derive(Debug)]
pub(crate) struct Listens {
    open: Locked<Vec<(RequestId, Filter)>>,
    server_info: Value,
}

impl Filter {
    fn wants(&self, event: &Event) -> bool {
        match event {
            Event::ListChanged(Kind::Tools) => self.tools_list_changed,
            Event::ListChanged(Kind::Prompts) => self.prompts_list_changed,
            Event::ListChanged(Kind::Resources | Kind::ResourceTemplates) => self.resources_list_changed,
            Event::Updated(uri) => self.resource_subscriptions.contains(uri),
            Event::Task(id, _) => self.task_ids.contains(id),
        }
    }
}

impl Listens {
    pub(super) fn new(server_info: &Value) -> Self {
        Self {
            open: Locked::default(),
            server_info: server_info.clone(),
        }
    }

    /// Returns whether one of them wants to hear of an event.
    pub(crate) fn want(&self, event: &Event) -> bool {
        self.open.lock().iter().any(|(_, filter)| filter.wants(event))
    }

    /// Appends the notification of an event for each listen that is told.
    pub(crate) fn tell(&self, event: &Event, reach: Reach, lines: &mut Vec<u8>) {
        for (id, filter) in self.open.lock().iter() {
            if reach == Reach::Everyone || filter.wants(event) {
                notify(id, event.method(), event.params(), lines);
            }
        }
    }

    /// Closes one. Returns whether it was open.
    pub(crate) fn close(&self, id: &RequestId) -> bool {
        let mut open = self.open.lock();
        let before = open.len();
        open.retain(|(of, _)| of != id);
        open.len() < before
    }

    /// Returns what is open, for the `state` tool.
    pub(crate) fn to_json(&self) -> Value {
        let open = self.open.lock();
        let listens = open
            .iter()
            .map(|(id, filter)| json!({ "id": id, "notifications": filter }));
        Value::Array(listens.collect())
    }

    fn result(&self, id: &RequestId) -> Value {
        json!({
            "resultType": "complete",
            "_meta": { meta::SERVER_INFO: self.server_info, meta::SUBSCRIPTION_ID: id },
        })
    }
}

impl Server {
    /// Opens a listen: says first what is honoured, and only then anything else.
    pub(crate) fn listen(&self, id: &RequestId, filter: Filter, lines: &mut Vec<u8>) {
        let mut open = self.modern.listens.open.lock();
        if open.iter().any(|(of, _)| of == id) {
            let error = ErrorObject::new(code::INVALID_REQUEST, "this id listens already");
            return Answer::Error(&error).write(lines, id);
        }
        let params = json!({ "notifications": filter });
        notify(id, method::ACKNOWLEDGED, Some(params), lines);
        // What another thread has to tell waits for the lock, and so comes later.
        self.send(lines);
        open.push((id.clone(), filter));
    }

    /// Ends every listen.
    pub(crate) fn end_listens(&self, farewell: Farewell, lines: &mut Vec<u8>) {
        let listens = &self.modern.listens;
        let ended = std::mem::take(&mut *listens.open.lock());
        for (id, _) in ended {
            match farewell {
                Farewell::Result => message::write_result(lines, &id, &listens.result(&id).to_string()),
                Farewell::Cancelled => {
                    let params = json!({ "requestId": id, "reason": "the server ends it" });
                    notify(&id, method::CANCELLED, Some(params), lines);
                }
                Farewell::Error => {
                    let error = ErrorObject::new(code::INTERNAL_ERROR, "the server cannot go on");
                    message::write_error(lines, Some(&id), &error);
                }
            }
        }
    }
}

/// Appends a notification that belongs to a listen.
fn notify(id: &RequestId, method: &str, params: Option<Value>, lines: &mut Vec<u8>) {
    let mut params = params.unwrap_or_else(|| json!({}));
    params["_meta"] = json!({ meta::SUBSCRIPTION_ID: id });
    message::write_notification(lines, method, Some(&raw(&params)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listen_hears_what_it_wants_under_its_own_id() {
        let listens = Listens::new(&Value::Null);
        let wants = |filter: Value| serde_json::from_value::<Filter>(filter).unwrap();
        *listens.open.lock() = vec![
            (1.into(), wants(json!({ "toolsListChanged": true, "unknown": 1 }))),
            (
                RequestId::String("b".into()),
                wants(json!({ "resourceSubscriptions": ["x"] })),
            ),
        ];
        let told = |event: &Event, reach| {
            let mut lines = Vec::new();
            listens.tell(event, reach, &mut lines);
            let lines = String::from_utf8(lines).unwrap();
            let ids = lines.lines().map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                line["params"]["_meta"][meta::SUBSCRIPTION_ID].clone()
            });
            Value::Array(ids.collect())
        };
        let tools = Event::ListChanged(Kind::Tools);
        assert_eq!(told(&tools, Reach::Subscribers), json!([1]));
        assert_eq!(told(&tools, Reach::Everyone), json!([1, "b"]));
        assert_eq!(
            told(&Event::Updated("x".to_owned()), Reach::Subscribers),
            json!(["b"])
        );
        assert_eq!(
            told(&Event::Updated("y".to_owned()), Reach::Subscribers),
            json!([])
        );
        assert!(listens.close(&1.into()) && !listens.close(&1.into()));
        assert!(!listens.want(&tools));
    }
}
