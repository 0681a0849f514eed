//! What a client may listen to: what it may see the capability of, and what it might subscribe to.

use bytes::Bytes;
use serde_json::{Value, json};

use super::hearing::Hearing;
use super::judge::Judge;
use crate::gateway::GatewayError;
use crate::gateway::Session;
use crate::plugin::call::Direction;
use crate::protocol::Message;
use crate::protocol::modern::Filter;
use crate::protocol::names::method;
use crate::upstream::SCAN;

impl Judge {
    /// Takes out of what a client wants to hear what it may not. `message` is its request, which has been judged itself.
    ///
    /// # Errors
    /// A policy could not judge it.
    pub(in super::super) async fn restrain_listener(
        &self,
        session: &Session,
        message: &Message,
        mut wanted: Filter,
    ) -> Result<Filter, GatewayError> {
        let lists: Vec<&'static str> = wanted.lists.iter().copied().collect();
        let may = self
            .may_announce(session, Direction::ServerToClient, message, &lists)
            .await?;
        let may = lists.into_iter().zip(may).filter(|(_, may)| *may);
        wanted.lists = may.map(|(list, _)| list).collect();
        for uri in std::mem::take(&mut wanted.uris) {
            if self.would_allow(session, subscription_to(&uri)).await {
                wanted.uris.insert(uri);
            }
        }
        for id in std::mem::take(&mut wanted.tasks) {
            if self.would_allow(session, question_about(&id)).await {
                wanted.tasks.insert(id);
            }
        }
        Ok(wanted)
    }

    async fn would_allow(&self, session: &Session, question: Message) -> bool {
        let hearing = Hearing::of_question(self, session, Direction::ClientToServer, question);
        hearing.authorize().await.is_ok()
    }
}

/// Returns the request by which a client would ask how a task is doing.
fn question_about(task: &str) -> Message {
    written(method::TASKS_GET, &json!({ "taskId": task }))
}

/// Returns the request by which a client with a handshake would subscribe to a resource.
pub(in super::super) fn subscription_to(uri: &str) -> Message {
    written(method::SUBSCRIBE, &json!({ "uri": uri }))
}

fn written(method: &str, params: &Value) -> Message {
    let request = json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params });
    Message::parse(Bytes::from(request.to_string()), SCAN).expect("it was written here")
}
