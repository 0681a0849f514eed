//! The modes, and what they allow. Whatever is not allowed by the configuration is refused: a call without a mode, a mode
//! that is not configured, a kind of thing that this version has not heard of.
//!
//! What the client reads names its mode and what it asked for, but never tells a forbidden name from an unknown one. The
//! reason, for the log, names the rule.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kit::config::{self, Configured, Fault, Named, Value};
use kit::{Globs, quoted};

use crate::method::{capability, names_something};
use crate::uri::is_plain;

/// JSON-RPC codes: the same that a server gives for a method that it does not offer, and for a name that it does not have.
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
/// Refused by the gateway.
const REFUSED: i32 = -32000;

/// All modes. Without any, everything is refused.
#[derive(Debug)]
pub struct Policy {
    modes: Named<Mode>,
}

/// What one mode allows.
#[derive(Debug)]
struct Mode {
    allowed_servers: Globs,
    allowed_capabilities: Globs,
    tools: Names,
    prompts: Names,
    resources: Names,
    read_only: bool,
}

/// Which names of one kind.
#[derive(Debug, Default)]
struct Names {
    /// Absent: all.
    allow: Option<Globs>,
    /// Wins over `allow`.
    deny: Globs,
}

/// What the gateway says of a call, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The mode of the session.
    pub mode: Option<&'a str>,
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The server, if it has been chosen.
    pub server: Option<&'a str>,
}

/// What a message names, or a list contains.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// `tool`, `prompt`, `resource`, `resource-template`, `task`, `capability` or `server`.
    pub kind: &'a str,
    /// Its name, URI or template.
    pub name: &'a str,
    /// The server that has it; empty where that is not known.
    pub server: &'a str,
    /// JSON text of the server's hints.
    pub annotations: Option<&'a str>,
}

/// Why not.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// JSON-RPC error code.
    pub code: i32,
    /// For the client.
    pub message: String,
    /// For the log.
    pub reason: String,
}

impl Policy {
    /// Reads the configuration.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(config: &str) -> Result<Self, String> {
        config::read(config)
    }

    /// Decides about a message and what it names.
    ///
    /// # Errors
    /// It is refused.
    pub fn authorize(&self, call: &Circumstances, item: Option<&Item>) -> Result<(), Refusal> {
        let (name, mode) = self.mode(call)?;
        match mode.refuses(call, item) {
            None => Ok(()),
            Some(cause) => Err(cause.refusal(name, call, item)),
        }
    }

    /// Returns the indexes of the items that may be seen.
    pub fn filter<'a>(&self, call: &Circumstances, items: impl Iterator<Item = Item<'a>>) -> Vec<u32> {
        let Ok((_, mode)) = self.mode(call) else {
            return Vec::new();
        };
        if mode.refuses_server(call.server).is_some() {
            return Vec::new();
        }
        let visible = (0..)
            .zip(items)
            .filter(|(_, item)| mode.refuses_item(item).is_none());
        visible.map(|(index, _)| index).collect()
    }

    fn mode<'a>(&'a self, call: &Circumstances<'a>) -> Result<(&'a str, &'a Mode), Refusal> {
        let Some(name) = call.mode else {
            return Err(Refusal {
                code: REFUSED,
                message: "this needs a mode, and none applies".to_owned(),
                reason: "the call has no mode".to_owned(),
            });
        };
        let mode = self.modes.get(name).ok_or_else(|| Refusal {
            code: REFUSED,
            message: format!("there is no mode {}", quoted(name)),
            reason: format!("mode {} is not configured", quoted(name)),
        })?;
        Ok((name, mode))
    }
}

impl Configured for Policy {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                modes: members.or_default("modes"),
            })
        })
    }
}

impl Configured for Mode {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                allowed_servers: members.required("allowed-servers")?,
                allowed_capabilities: members.required("allowed-capabilities")?,
                tools: members.or_default("tools"),
                prompts: members.or_default("prompts"),
                resources: members.or_default("resources"),
                read_only: members.or_default("read-only"),
            })
        })
    }
}

impl Configured for Names {
    fn read(value: Value) -> Result<Self, Fault> {
        value.members(|members| {
            Ok(Self {
                allow: members.optional("allow"),
                deny: members.or_default("deny"),
            })
        })
    }
}

impl Mode {
    /// Returns why a message is refused, if it is. Allocates nothing: most messages are not.
    fn refuses<'a>(&'a self, call: &Circumstances<'a>, item: Option<&Item<'a>>) -> Option<Cause<'a>> {
        let by_server = self.refuses_server(call.server);
        let by_capability = || self.refuses_capability(capability(call.method)?);
        let by_item = || match item {
            Some(item) => self.refuses_item(item),
            None => names_something(call.method).then_some(Cause::NothingNamed),
        };
        by_server.or_else(by_capability).or_else(by_item)
    }

    /// A server that has not been chosen is judged later: the gateway asks again for what it would choose from.
    fn refuses_server(&self, server: Option<&str>) -> Option<Cause<'static>> {
        let server = server.filter(|name| !name.is_empty())?;
        (!self.allowed_servers.matches(server)).then_some(Cause::Server)
    }

    fn refuses_capability<'a>(&self, capability: &'a str) -> Option<Cause<'a>> {
        (!self.allowed_capabilities.matches(capability)).then_some(Cause::Capability(capability))
    }

    /// Judges a thing by what it is, whatever message it stands in: a resource inside the result of a tool is a resource.
    fn refuses_item<'a>(&'a self, item: &Item<'a>) -> Option<Cause<'a>> {
        if let Some(cause) = self.refuses_server(Some(item.server)) {
            return Some(cause);
        }
        match item.kind {
            "tool" => self.refuses_tool(item),
            "prompt" => self
                .refuses_capability("prompts")
                .or_else(|| self.prompts.refuse(item.name)),
            "resource" | "resource-template" => self
                .refuses_capability("resources")
                .or_else(|| self.resources.refuse_uri(item.name)),
            "task" => self.refuses_capability("tasks"),
            "capability" => self.refuses_capability(item.name),
            "server" => self.refuses_server(Some(item.name)),
            _ => Some(Cause::UnknownKind),
        }
    }

    fn refuses_tool<'a>(&'a self, item: &Item<'a>) -> Option<Cause<'a>> {
        let may_write = || !item.annotations.is_some_and(says_read_only);
        self.refuses_capability("tools")
            .or_else(|| self.tools.refuse(item.name))
            .or_else(|| (self.read_only && may_write()).then_some(Cause::NotReadOnly))
    }
}

/// Tells whether a tool's annotations say that it changes nothing. What cannot be read says nothing.
fn says_read_only(annotations: &str) -> bool {
    let Ok(Value::Object(hints)) = Value::parse(annotations) else {
        return false;
    };
    // A hint that stands there twice could be read either way.
    let mut hints = hints.iter().filter(|(name, _)| name == "readOnlyHint");
    hints
        .next()
        .is_some_and(|(_, hint)| *hint == Value::Boolean(true))
        && hints.next().is_none()
}

impl Names {
    fn refuse(&self, name: &str) -> Option<Cause<'_>> {
        if let Some(glob) = self.deny.find(name) {
            return Some(Cause::Denied(glob.as_str()));
        }
        let is_allowed = self.allow.as_ref().is_none_or(|allowed| allowed.matches(name));
        (!is_allowed).then_some(Cause::NotAllowed)
    }

    fn refuse_uri(&self, uri: &str) -> Option<Cause<'_>> {
        let has_patterns = self.allow.is_some() || !self.deny.is_empty();
        if has_patterns && !is_plain(uri) {
            return Some(Cause::NotPlain);
        }
        self.refuse(uri)
    }
}

/// The rule that refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause<'a> {
    Server,
    Capability(&'a str),
    NothingNamed,
    Denied(&'a str),
    NotAllowed,
    NotReadOnly,
    NotPlain,
    UnknownKind,
}

impl Cause<'_> {
    fn refusal(self, mode: &str, call: &Circumstances, item: Option<&Item>) -> Refusal {
        let (kind, name) = item.map_or(("message", call.method), |item| (item.kind, item.name));
        let server = call.server.or_else(|| Some(item?.server)).unwrap_or_default();
        let (code, what) = match self {
            Self::Server => (REFUSED, "this server".to_owned()),
            Self::Capability(capability) => (METHOD_NOT_FOUND, capability.to_owned()),
            _ => (INVALID_PARAMS, format!("{kind} {}", quoted(name))),
        };
        let rule = match self {
            Self::Server => "not in allowed-servers".to_owned(),
            Self::Capability(_) => "not in allowed-capabilities".to_owned(),
            Self::NothingNamed => "the message names nothing".to_owned(),
            Self::Denied(pattern) => format!("denied by {}", quoted(pattern)),
            Self::NotAllowed => "fits nothing in allow".to_owned(),
            Self::NotReadOnly => "the mode is read-only, and the tool is not known to be".to_owned(),
            Self::NotPlain => {
                "the URI can be spelt in another way, so that patterns cannot judge it".to_owned()
            }
            Self::UnknownKind => "no rule knows this kind".to_owned(),
        };
        let (name, server, mode) = (quoted(name), quoted(server), quoted(mode));
        Refusal {
            code,
            message: format!("mode {mode} does not allow {what}"),
            reason: format!(
                "{} of {kind} {name}, server {server}, mode {mode}: {rule}",
                call.method
            ),
        }
    }
}

#[cfg(test)]
mod tests;
