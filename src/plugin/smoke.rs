//! Cases, run: each in an instance of its own, apart from the plugin's other instances, its figures and its store. Only how
//! much it may log is shared.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::call::{
    CallContext, Candidate, CatalogItem, Decision, Denial, Direction, MessageKind, Principal, Route, Verdict,
};
use super::case::{Case, CaseHook, CaseItem, DecisionKind};
use super::error::Stopped;
use super::exports::Hook;
use super::instance::{Question, Template, Word};
use super::manifest;
use super::plugin::{Matter, Plugin};
use super::shared::Shared;
use super::state::Subject;
use super::verdict::{check_denial, check_route};
use crate::protocol::Message;
use crate::protocol::document::Document;
use crate::protocol::scan::{ScanOptions, UniqueKeys};

/// A case that came out otherwise than expected, or did not come out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("case {name:?}: {detail}")]
pub struct CaseFailure {
    /// The case.
    pub name: String,
    /// What was expected and what came.
    pub detail: String,
}

/// How messages are read in cases; what they hold is the author's own.
const SCAN: ScanOptions = ScanOptions {
    depth_max: 128,
    unique_keys: UniqueKeys::Everywhere,
};

impl Plugin {
    /// Runs a case: the hook that it names, with its configuration or else the plugin's own. It may take as long as
    /// `init`: a case is about decisions, and other things may be going on when a plugin is loaded.
    ///
    /// # Errors
    /// Another decision than the expected one, or none.
    pub async fn run_case(&self, case: &Case) -> Result<(), CaseFailure> {
        let got = match self.outcome(case).await {
            Ok(got) => got,
            Err(detail) => return Err(failure(case, detail)),
        };
        let expected = Value::from(case.expect.clone());
        if fits(&expected, &got) {
            return Ok(());
        }
        Err(failure(case, format!("expected {expected}, got {got}")))
    }

    /// Returns what a case comes to, in the shape of an expectation.
    async fn outcome(&self, case: &Case) -> Result<Value, String> {
        let message = Bytes::from(case.message_text());
        if let Err(error) = Message::parse(message.clone(), SCAN) {
            return Err(format!("its message is none: {}", error.message));
        }
        let matter = Matter {
            message: Arc::new(Document::new(message)),
            input_schema: None,
        };
        let ctx = context(case, matter.message.bytes());
        self.check_subscribed(case, &ctx)?;
        let stopped = |stopped: Stopped| format!("it failed ({}): {}", stopped.kind.as_str(), stopped.detail);
        let template = self.rehearsal(case.config.as_ref());
        let mut instance = template.instantiate().await.map_err(stopped)?;
        let subject = Subject {
            message: matter.message.clone(),
            input_schema: None,
        };
        let time = self.spec.limits.init_timeout;
        let deadline = Instant::now() + time;
        let candidates = candidates(case);
        let items: Vec<CatalogItem> = case.items.iter().map(|item| catalog_item(item, &ctx)).collect();
        let item = case.item.as_ref().map(|item| catalog_item(item, &ctx));
        let question = match case.hook {
            CaseHook::OnMessage => Question::OnMessage(&ctx),
            CaseHook::Authorize => Question::Authorize(&ctx, item.as_ref()),
            CaseHook::Filter => Question::Filter(&ctx, &items),
            CaseHook::Choose => Question::Choose(&ctx, &candidates),
        };
        let word = instance
            .ask(&template.engine, question, subject, time, deadline)
            .await
            .map_err(stopped)?;
        match word {
            Word::Verdict(verdict) => self.shown_verdict(&ctx, &matter, verdict).map_err(stopped),
            Word::Authorized(Ok(())) => Ok(json!({ "decision": DecisionKind::Pass })),
            Word::Authorized(Err(denial)) => shown_denial(&denial).map_err(stopped),
            Word::Kept(indexes) => shown_kept(indexes, items.len()),
            Word::Route(route) => shown_route(&route, candidates.len()).map_err(stopped),
        }
    }

    /// A case about a message that the hook is never asked about would prove nothing.
    fn check_subscribed(&self, case: &Case, ctx: &CallContext) -> Result<(), String> {
        let hook = match case.hook {
            CaseHook::OnMessage => Hook::OnMessage,
            CaseHook::Authorize | CaseHook::Filter => Hook::Access,
            CaseHook::Choose => Hook::Routing,
        };
        let is_wanted = self.subscription(hook).is_some_and(|subscription| {
            subscription.wants(&ctx.method, ctx.direction.into(), ctx.kind.into())
        });
        match is_wanted {
            true => Ok(()),
            false => Err(format!(
                "[hooks] of the manifest does not have {} asked about such a message ({:?})",
                hook.as_str(),
                ctx.method
            )),
        }
    }

    /// Returns what instances for cases are made from: as the others, but with a store that nobody else sees.
    fn rehearsal(&self, config: Option<&Value>) -> Template {
        let template = self.pool.template();
        let shared = &template.shared;
        Template {
            engine: template.engine.clone(),
            pre: template.pre.clone(),
            exports: template.exports.clone(),
            shared: Arc::new(Shared {
                name: shared.name.clone(),
                limits: shared.limits.clone(),
                grants: shared.grants.clone(),
                log: shared.log.clone(),
                kv: Arc::default(),
                http: shared.http.clone(),
                schemas: shared.schemas.clone(),
            }),
            config: config.map_or_else(|| template.config.clone(), Value::to_string),
        }
    }

    fn shown_verdict(&self, ctx: &CallContext, matter: &Matter, verdict: Verdict) -> Result<Value, Stopped> {
        let kind = match &verdict.decision {
            Decision::Pass => DecisionKind::Pass,
            Decision::Deny(_) => DecisionKind::Deny,
            Decision::Edit(_) => DecisionKind::Edit,
            Decision::Replace(_) => DecisionKind::Replace,
        };
        let judged = self.judged(ctx, matter, verdict)?;
        let mut shown = match judged.outcome {
            Ok(None) => json!({ "decision": kind }),
            Ok(Some(changed)) => json!({ "decision": kind, "result": parsed(changed)? }),
            Err(denial) => shown_denial(&denial)?,
        };
        let notes = judged.notes.into_iter();
        shown["notes"] = notes.map(|(key, value)| (key, Value::from(value))).collect();
        Ok(shown)
    }
}

fn failure(case: &Case, detail: String) -> CaseFailure {
    CaseFailure {
        name: case.name.clone(),
        detail,
    }
}

/// Returns whether what came is what was expected, as far as something was.
fn fits(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            expected.iter().all(|(key, value)| match got.get(key) {
                Some(got) if key == "result" => is_message(value, got),
                got => got == Some(value),
            })
        }
        (expected, got) => expected == got,
    }
}

/// As a case's message need not have them, the one that comes of it need not name them either.
const FRAME: [&str; 3] = ["jsonrpc", "id", "method"];

fn is_message(expected: &Value, got: &Value) -> bool {
    let mut expected = expected.clone();
    for key in FRAME {
        if let (Some(members), Some(value)) = (expected.as_object_mut(), got.get(key)) {
            members.entry(key).or_insert_with(|| value.clone());
        }
    }
    expected == *got
}

fn bad(text: String) -> Stopped {
    Stopped::new(super::error::ErrorKind::BadDecision, text)
}

fn parsed(changed: Bytes) -> Result<Value, Stopped> {
    let message = Message::parse(changed.clone(), SCAN);
    message.map_err(|error| bad(format!("what it made of the message is none: {}", error.message)))?;
    Ok(serde_json::from_slice(&changed).expect("a message is JSON"))
}

fn shown_denial(denial: &Denial) -> Result<Value, Stopped> {
    check_denial(denial)?;
    Ok(json!({
        "decision": DecisionKind::Deny,
        "code": denial.code,
        "message": denial.message,
        "reason": denial.reason,
    }))
}

/// The order in which a filter names what it keeps means nothing.
fn shown_kept(mut indexes: Vec<u32>, items: usize) -> Result<Value, String> {
    indexes.sort_unstable();
    indexes.dedup();
    match indexes.last() {
        Some(last) if *last as usize >= items => Err(format!("it kept item {last} of {items}")),
        _ => Ok(indexes.into()),
    }
}

fn shown_route(route: &Route, candidates: usize) -> Result<Value, Stopped> {
    match route {
        Route::Default => Ok(json!({ "decision": DecisionKind::Default })),
        Route::To(indexes) => check_route(indexes, candidates).map(Value::from),
        Route::Deny(denial) => shown_denial(denial),
    }
}

fn context(case: &Case, message: &[u8]) -> CallContext {
    let given = &case.context;
    CallContext {
        request_id: given.request_id.clone().unwrap_or_else(|| "case".to_owned()),
        session: given.session.clone(),
        direction: match given.direction {
            manifest::Direction::ClientToServer => Direction::ClientToServer,
            manifest::Direction::ServerToClient => Direction::ServerToClient,
        },
        kind: match given.kind {
            manifest::MessageKind::Request => MessageKind::Request,
            manifest::MessageKind::Notification => MessageKind::Notification,
            manifest::MessageKind::Response => MessageKind::Response,
            manifest::MessageKind::ErrorResponse => MessageKind::ErrorResponse,
        },
        method: case.method(),
        target: given.target.clone().or_else(|| target(message)),
        server: given.server.clone(),
        mode: given.mode.clone(),
        principal: given.principal.as_ref().map(|principal| Principal {
            subject: principal.subject.clone(),
            issuer: principal.issuer.clone(),
            roles: principal.roles.clone(),
        }),
        protocol_version: given.protocol_version.clone(),
        body_size: u32::try_from(message.len()).unwrap_or(u32::MAX),
        attributes: texts(&given.attributes),
    }
}

/// Where a message says what it is about, in the order in which it is looked for.
const TARGETS: [&str; 5] = [
    "/params/name",
    "/params/uri",
    "/params/ref/name",
    "/params/ref/uri",
    "/params/taskId",
];

fn target(message: &[u8]) -> Option<String> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let named = TARGETS
        .iter()
        .find_map(|pointer| message.pointer(pointer)?.as_str());
    named.map(str::to_owned)
}

fn catalog_item(item: &CaseItem, ctx: &CallContext) -> CatalogItem {
    CatalogItem {
        kind: item.kind.clone(),
        name: item.name.clone(),
        server: item
            .server
            .clone()
            .or_else(|| ctx.server.clone())
            .unwrap_or_default(),
        description: item.description.clone(),
        annotations: item.annotations.as_ref().map(text),
    }
}

fn candidates(case: &Case) -> Vec<Candidate> {
    let candidates = case.candidates.iter().map(|given| Candidate {
        server: given.server.clone(),
        instance: given.instance.clone(),
        healthy: given.healthy,
        in_flight: given.in_flight,
        weight: given.weight,
        labels: texts(&given.labels),
    });
    candidates.collect()
}

fn texts(values: &Map<String, Value>) -> Vec<(String, String)> {
    values
        .iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// A text stands for itself, anything else for its JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
