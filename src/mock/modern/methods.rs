//! The methods of the modern era: what each request becomes, dressed as the era wants it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::inputs::{Inputs, Settled};
use super::listens::Filter;
use super::{skills, tasks};
use crate::mock::catalogue::{Kind, cursor};
use crate::mock::message::{invalid_params, parse, raw};
use crate::mock::methods::{INSTRUCTIONS, capabilities};
use crate::mock::peer::Level;
use crate::mock::script::{Action, Outcome, Step};
use crate::mock::server::Server;
use crate::mock::tools::{self, Call};
use crate::mock::{completions, noise, prompts, resources};
use crate::protocol::modern::RequestMeta;
use crate::protocol::names::{code, method};
use crate::protocol::reply::ErrorObject;
use crate::protocol::{Message, ProtocolVersion};

const VERSION: ProtocolVersion = ProtocolVersion::V2026_07_28;

/// A request whose `_meta` is in order.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) server: &'a Arc<Server>,
    pub(super) message: &'a Message,
    pub(super) params: &'a [u8],
    pub(super) meta: RequestMeta,
    level: Option<Level>,
}

/// Decides what becomes of a request.
pub(crate) fn handle(server: &Arc<Server>, message: &Message) -> Outcome {
    let params = message.params();
    let params = params.as_deref().unwrap_or(b"{}");
    let answer = Request::new(server, message, params).and_then(|request| request.answer());
    answer.unwrap_or_else(Outcome::Error)
}

/// Returns the error for a request of a version that this era does not have.
pub(crate) fn unsupported_version(requested: &str) -> ErrorObject {
    let message = format!("protocol version {requested} is not supported");
    ErrorObject::new(code::UNSUPPORTED_VERSION, message)
        .with_data(json!({ "supported": supported(), "requested": requested }))
}

fn supported() -> Vec<&'static str> {
    ProtocolVersion::MODERN.map(ProtocolVersion::as_str).to_vec()
}

impl<'a> Request<'a> {
    fn new(server: &'a Arc<Server>, message: &'a Message, params: &'a [u8]) -> Result<Self, ErrorObject> {
        let meta = RequestMeta::parse(message).map_err(|error| invalid_params(error.to_string()))?;
        if ProtocolVersion::parse_modern(&meta.version).is_none() {
            return Err(unsupported_version(&meta.version));
        }
        server.modern.note(&meta);
        let level = meta
            .log_level
            .as_deref()
            .map(|name| Level::named(name).ok_or_else(|| invalid_params(format!("unknown level {name}"))));
        Ok(Self {
            level: level.transpose()?,
            server,
            message,
            params,
            meta,
        })
    }

    fn answer(&self) -> Result<Outcome, ErrorObject> {
        let modern = &self.server.modern;
        let kept = |result: Result<String, ErrorObject>| {
            result.map(|result| Outcome::result(modern.cacheable(&result)))
        };
        let complete = |result: Result<String, ErrorObject>| {
            result.map(|result| Outcome::result(modern.complete(&result)))
        };
        match &*self.message.method() {
            method::TOOLS_CALL => self.call_tool(),
            method::DISCOVER => kept(Ok(discovered())),
            method::TOOLS_LIST => kept(self.list(Kind::Tools)),
            method::RESOURCES_LIST => kept(self.list(Kind::Resources)),
            method::TEMPLATES_LIST => kept(self.list(Kind::ResourceTemplates)),
            method::PROMPTS_LIST => kept(self.list(Kind::Prompts)),
            method::READ => kept(self.read_resource()),
            method::SKILLS_LIST => kept(Ok(modern.skills.list())),
            method::SKILLS_GET => kept(modern.skills.get(&self.uri()?)),
            method::DIRECTORY_READ => kept(modern.skills.directory(&self.uri()?)),
            method::PROMPTS_GET => self.get_prompt(),
            method::COMPLETE => complete(completions::complete(Some(self.params))),
            method::LISTEN => self.listen(),
            method::TASKS_GET | method::TASKS_UPDATE | method::TASKS_CANCEL => complete(tasks::handle(self)),
            unknown => Err(ErrorObject::new(
                code::METHOD_NOT_FOUND,
                format!("Method not found: {unknown}"),
            )),
        }
    }

    fn list(&self, kind: Kind) -> Result<String, ErrorObject> {
        let cursor = cursor(Some(self.params))?;
        let additions = self.server.additions.lock();
        self.server
            .catalogue
            .page(kind, VERSION, &additions, cursor.as_deref())
    }

    fn uri(&self) -> Result<String, ErrorObject> {
        resources::uri(Some(self.params))
    }

    fn read_resource(&self) -> Result<String, ErrorObject> {
        let uri = self.uri()?;
        if let Some(result) = self.server.modern.skills.read(&uri) {
            return Ok(result);
        }
        resources::read(&uri, &self.server.additions.lock()).map_err(|mut error| {
            // The handshake era had a code of its own for what is not there.
            error.code = code::INVALID_PARAMS;
            error
        })
    }

    fn get_prompt(&self) -> Result<Outcome, ErrorObject> {
        let outcome = prompts::get(Some(self.params), &self.server.additions.lock())?;
        self.settle(outcome)
    }

    fn call_tool(&self) -> Result<Outcome, ErrorObject> {
        #[derive(Deserialize)]
        struct Params<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
        }
        let params: Params<'_> = parse(Some(self.params))?;
        let call = Call {
            server: self.server,
            raw: params.arguments,
            progress_token: self.message.wanted_progress_token(),
            modern: Some(&self.meta),
        };
        self.settle(tools::call(&params.name, &call))
    }

    fn listen(&self) -> Result<Outcome, ErrorObject> {
        #[derive(Deserialize)]
        struct Params {
            notifications: Filter,
        }
        let mut filter = parse::<Params>(Some(self.params))?.notifications;
        let additions = self.server.additions.lock();
        filter
            .resource_subscriptions
            .retain(|uri| resources::read(uri, &additions).is_ok());
        filter.task_ids.retain(|id| self.server.modern.tasks.has(id));
        noise::start_once(self.server);
        Ok(Outcome::Listen(filter))
    }

    /// Turns what a tool or a prompt of either era decided into what this one says.
    pub(super) fn settle(&self, outcome: Outcome) -> Result<Outcome, ErrorObject> {
        let modern = &self.server.modern;
        let outcome = match outcome {
            Outcome::Ask(_) => {
                let inputs = Inputs::parse(&self.message.method(), self.params, &modern.seal)?;
                match inputs.settle(modern, &self.meta, outcome)? {
                    Settled::Required(result) => return Ok(Outcome::result(result)),
                    Settled::Decided(outcome) => outcome,
                }
            }
            outcome => outcome,
        };
        Ok(match outcome {
            Outcome::Result(result) => Outcome::result(modern.complete(&result)),
            Outcome::Script(steps) => {
                Outcome::Script(steps.into_iter().map(|step| self.dress(step)).collect())
            }
            Outcome::Task(plan) => return tasks::begin(self, plan),
            outcome => outcome,
        })
    }

    fn dress(&self, step: Step) -> Step {
        let action = match step.action {
            Action::Answer(result) => Action::Answer(self.server.modern.complete(&result).into()),
            Action::Log(level, data) if self.level.is_some_and(|least| level >= least) => {
                let params = json!({ "level": level.as_str(), "logger": "mock", "data": data });
                Action::Notify(method::LOG_MESSAGE.into(), Some(raw(&params)))
            }
            Action::Log(..) => Action::Nothing,
            action => action,
        };
        Step { action, ..step }
    }
}

fn discovered() -> String {
    let mut capabilities = capabilities(VERSION);
    capabilities["extensions"] = json!({
        tasks::EXTENSION: {},
        skills::EXTENSION: { "directoryRead": true },
    });
    let supported: Value = supported().into();
    json!({
        "supportedVersions": supported,
        "capabilities": capabilities,
        "instructions": INSTRUCTIONS,
    })
    .to_string()
}
