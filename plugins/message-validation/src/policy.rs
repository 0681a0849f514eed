//! What the operator wants of messages, and the decision about one.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kit::config::{self, Configured, Fault};
use kit::{Globs, quoted};

use crate::argument::ArgumentRule;
use crate::envelope::{self, Requirement};
use crate::message::{Circumstances, Kind, Message, Value};
use crate::redaction::{Change, Redaction, changes};
use crate::walk::{depth, walk};

const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// The rules. What is absent is not checked, and costs nothing.
#[derive(Debug)]
pub struct Policy {
    max_size: Option<u32>,
    max_depth: Option<u32>,
    max_result_size: Option<u32>,
    allowed_methods: Option<Globs>,
    denied_methods: Globs,
    require_params: bool,
    validate_arguments: bool,
    arguments: Vec<ArgumentRule>,
    redact: Vec<Redaction>,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on.
    Pass,
    /// It goes on with these changes.
    Edit(Vec<Change>),
}

/// Why not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// JSON-RPC error code.
    pub code: i32,
    /// For the client.
    pub message: String,
    /// For the log.
    pub reason: String,
    /// Where in the message.
    pub pointer: Option<String>,
}

impl Configured for Policy {
    fn read(value: config::Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                max_size: members.optional("max-size"),
                max_depth: members.optional("max-depth"),
                max_result_size: members.optional("max-result-size"),
                allowed_methods: members.optional("allowed-methods"),
                denied_methods: members.or_default("denied-methods"),
                require_params: members.or_default("require-params"),
                validate_arguments: members.or_default("validate-arguments"),
                arguments: members.or_default("arguments"),
                redact: members.or_default("redact"),
            })
        })
    }
}

impl Policy {
    /// Reads the configuration.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(config: &str) -> Result<Self, String> {
        config::read(config)
    }

    /// Decides about a message.
    ///
    /// # Errors
    /// It is refused.
    pub fn judge(&self, call: &Circumstances, message: &impl Message) -> Result<Decision, Refusal> {
        self.check_size(call)?;
        if matches!(call.kind, Kind::FromClient | Kind::FromServer) {
            self.check_method(call)?;
            self.check_params(call, message)?;
        }
        if matches!(call.kind, Kind::FromClient | Kind::ClientAnswer) {
            self.check_depth(message)?;
            return Ok(Decision::Pass);
        }
        self.redact(call, message)
    }

    fn check_size(&self, call: &Circumstances) -> Result<(), Refusal> {
        let max = match call.kind {
            Kind::FromClient | Kind::ClientAnswer => self.max_size,
            Kind::FromServer | Kind::Result | Kind::Error => self.max_result_size,
        };
        let Some(max) = max.filter(|max| call.size > *max) else {
            return Ok(());
        };
        Err(Refusal {
            code: INVALID_REQUEST,
            message: format!("the message has more than {max} bytes"),
            reason: format!("{} bytes, and {max} are allowed", call.size),
            pointer: None,
        })
    }

    fn check_method(&self, call: &Circumstances) -> Result<(), Refusal> {
        let denied = self.denied_methods.find(call.method);
        let is_allowed = self
            .allowed_methods
            .as_ref()
            .is_none_or(|allowed| allowed.matches(call.method));
        let reason = match denied {
            Some(glob) => format!("denied-methods has {}", quoted(glob.as_str())),
            None if !is_allowed => "not in allowed-methods".to_owned(),
            None => return Ok(()),
        };
        Err(Refusal {
            code: METHOD_NOT_FOUND,
            message: format!("the method {} is not allowed", quoted(call.method)),
            reason,
            pointer: None,
        })
    }

    /// Reads in one go what the method requires and what the rules are about: going to the host costs more than looking.
    fn check_params(&self, call: &Circumstances, message: &impl Message) -> Result<(), Refusal> {
        let required = if self.require_params {
            envelope::required(call.method)
        } else {
            &[]
        };
        let rules = self.arguments.iter().filter(|rule| rule.applies(call));
        let (wide, narrow): (Vec<_>, Vec<_>) = rules.partition(|rule| rule.pointer().is_wide());
        let of_method = required.iter().map(|requirement| requirement.pointer);
        let pointers: Vec<&str> = of_method
            .chain(narrow.iter().map(|rule| rule.pointer().base()))
            .collect();
        if !pointers.is_empty() {
            let values = message.get_many(&pointers);
            let mut values = values.iter().map(Option::as_ref);
            for requirement in required {
                check_required(call, requirement, values.next().flatten())?;
            }
            for rule in narrow {
                check_argument(rule, rule.pointer().base(), values.next().flatten())?;
            }
        }
        for rule in wide {
            check_wide(rule, message)?;
        }
        if self.validate_arguments && call.method == "tools/call" {
            message
                .validate_arguments()
                .map_err(|problems| params_refusal(&problems.join("; "), "/params/arguments"))?;
        }
        Ok(())
    }

    fn check_depth(&self, message: &impl Message) -> Result<(), Refusal> {
        let Some(max) = self.max_depth else { return Ok(()) };
        let refusal = |reason| Refusal {
            code: INVALID_REQUEST,
            message: format!("the message is nested deeper than {max} levels"),
            reason,
            pointer: None,
        };
        let depth = depth(&message.text().map_err(refusal)?);
        if depth > max {
            return Err(refusal(format!("{depth} levels, and {max} are allowed")));
        }
        Ok(())
    }

    fn redact(&self, call: &Circumstances, message: &impl Message) -> Result<Decision, Refusal> {
        let redactions: Vec<_> = self
            .redact
            .iter()
            .filter(|redaction| redaction.applies(call))
            .collect();
        let base = match call.kind {
            Kind::Result => "/result",
            Kind::Error => "/error",
            _ => "/params",
        };
        let Some(json) = (!redactions.is_empty()).then(|| message.json(base)).flatten() else {
            return Ok(Decision::Pass);
        };
        let changes = changes(&redactions, &json, base).map_err(|reason| Refusal {
            code: INVALID_REQUEST,
            message: "the answer cannot be checked".to_owned(),
            reason,
            pointer: Some(base.to_owned()),
        })?;
        Ok(if changes.is_empty() {
            Decision::Pass
        } else {
            Decision::Edit(changes)
        })
    }
}

fn check_required(
    call: &Circumstances,
    required: &Requirement,
    value: Option<&Value>,
) -> Result<(), Refusal> {
    if required.is_met_by(value) {
        return Ok(());
    }
    let (pointer, shape) = (required.pointer, required.shape());
    let problem = format!("{} needs {shape} at {pointer}", call.method);
    Err(params_refusal(&problem, pointer))
}

fn check_argument(rule: &ArgumentRule, pointer: &str, value: Option<&Value>) -> Result<(), Refusal> {
    let problem = match value {
        Some(value) => rule.problem(value),
        None => rule.is_required().then(|| "is missing".to_owned()),
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(Refusal {
            reason: format!("{pointer} {problem}"),
            ..params_refusal(&rule.message(pointer, &problem), pointer)
        }),
    }
}

/// Checks all that a pointer with wildcards stands for.
fn check_wide(rule: &ArgumentRule, message: &impl Message) -> Result<(), Refusal> {
    let base = rule.pointer().base();
    let mut found = Vec::new();
    if let Some(json) = message.json(base) {
        let mut keep = |pointer: &str, value| {
            if rule.pointer().covers(pointer) {
                found.push((pointer.to_owned(), value));
            }
        };
        walk(&json, base, &mut keep).map_err(|reason| params_refusal(&reason, base))?;
    }
    if found.is_empty() {
        return check_argument(rule, base, None);
    }
    found
        .iter()
        .try_for_each(|(pointer, value)| check_argument(rule, pointer, Some(value)))
}

fn params_refusal(problem: &str, pointer: &str) -> Refusal {
    Refusal {
        code: INVALID_PARAMS,
        message: problem.to_owned(),
        reason: problem.to_owned(),
        pointer: Some(pointer.to_owned()),
    }
}

#[cfg(test)]
mod tests;
