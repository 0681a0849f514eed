//! What came back, by the name of the check that asked for it: as the SDK's types hold it, at its transport.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rmcp::RoleClient;
use rmcp::model::{RequestId, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Serialize;
use serde_json::{Map, Value};

/// Stands for what only this run has said.
const NONCE: &str = "<nonce>";

/// The results so far; clones share them.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The check that is recorded, and how many requests it has made.
    check: Option<(String, u32)>,
    /// The label of a request that is made again, because its answer asked for something.
    again: Option<String>,
    /// The labels of what has no answer yet.
    waiting: HashMap<RequestId, String>,
    results: Map<String, Value>,
}

impl Transcript {
    /// Records from now on what the requests of this check return; of none, if there is none.
    pub fn record(&self, check: Option<&str>) {
        self.with(|state| {
            state.check = check.map(|name| (name.to_owned(), 0));
            state.again = None;
        });
    }

    /// The results as JSON, without what only this run has said.
    pub fn text(&self, nonce: &str) -> String {
        self.with(|state| {
            let text = serde_json::to_string_pretty(&state.results).expect("JSON can be written");
            text.replace(nonce, NONCE)
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().expect("no holder panics"))
    }
}

impl State {
    fn sent(&mut self, id: &RequestId) {
        let Some((check, requests)) = &mut self.check else {
            return;
        };
        let label = self.again.take().unwrap_or_else(|| {
            *requests += 1;
            match *requests {
                1 => check.clone(),
                further => format!("{check} {further}"),
            }
        });
        self.waiting.insert(id.clone(), label);
    }

    fn answered(&mut self, id: &RequestId, answer: &impl Serialize, is_question: bool) {
        let Some(label) = self.waiting.remove(id) else {
            return;
        };
        if is_question {
            self.again = Some(label);
        } else {
            let answer = serde_json::to_value(answer).expect("the SDK's models have string keys only");
            self.results.insert(label, answer);
        }
    }
}

/// A transport that shows what passes and changes nothing.
pub struct Tap<T> {
    pub inner: T,
    pub transcript: Transcript,
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Tap<T> {
    type Error = T::Error;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        if let TxJsonRpcMessage::<RoleClient>::Request(request) = &message {
            self.transcript.with(|state| state.sent(&request.id));
        }
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.inner.receive().await?;
        self.transcript.with(|state| match &message {
            RxJsonRpcMessage::<RoleClient>::Response(response) => {
                let is_question = matches!(response.result, ServerResult::InputRequiredResult(_));
                state.answered(&response.id, &response.result, is_question);
            }
            RxJsonRpcMessage::<RoleClient>::Error(refusal) => {
                if let Some(id) = &refusal.id {
                    state.answered(id, &refusal.error, false);
                }
            }
            _ => {}
        });
        Some(message)
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}
