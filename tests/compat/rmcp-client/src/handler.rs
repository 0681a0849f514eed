//! The client's side of the conversation: answers what servers ask, keeps what they tell.

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ElicitationAction, Implementation, ListRootsResult, LoggingMessageNotificationParam,
    ProgressNotificationParam, ResourceUpdatedNotificationParam, Role, Root, SamplingMessage,
    SamplingMessageContentBlock,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde::Serialize;
use serde_json::{Value, json};

use crate::inbox::Inbox;

pub const ROOTS: [&str; 2] = ["file:///compat/one", "file:///compat/two"];

/// What a client declares, and with it which requests it will answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Declares {
    /// Sampling, elicitation and roots.
    Everything,
    Nothing,
}

impl Declares {
    /// What is declared to a server: to those that ask, everything.
    pub fn to(server: &str) -> Self {
        match server {
            "everything" | "mock" => Self::Everything,
            _ => Self::Nothing,
        }
    }
}

pub struct Handler {
    pub declares: Declares,
    pub inbox: Inbox,
}

fn as_value(params: &impl Serialize) -> Value {
    serde_json::to_value(params).expect("the SDK's parameters have string keys only")
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let mut capabilities = ClientCapabilities::default();
        if self.declares == Declares::Everything {
            capabilities.roots = Some(Default::default());
            capabilities.sampling = Some(Default::default());
            capabilities.elicitation = Some(Default::default());
        }
        ClientConfig::new(capabilities, Implementation::new("compat-rmcp", "1.0.0"))
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let asked = as_value(&params)["messages"][0]["content"]["text"]
            .as_str()
            .unwrap_or("nothing")
            .to_owned();
        let answer = SamplingMessageContentBlock::text(format!("sampled {asked}"));
        Ok(CreateMessageResult::new(
            SamplingMessage::new(Role::Assistant, answer),
            "compat-model".to_owned(),
        ))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.inbox.put("elicitation/create", as_value(&request));
        let content = json!({"name": "Ada", "check": true, "integer": 7});
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(content))
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(
            ROOTS
                .iter()
                .map(|uri| Root::new(*uri).with_name("root"))
                .collect(),
        ))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.inbox.put("notifications/progress", as_value(&params));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.inbox.put("notifications/message", as_value(&params));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.inbox
            .put("notifications/resources/updated", as_value(&params));
    }
}
