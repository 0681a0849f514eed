//! What a client must have declared before it is asked something, or told.

use serde_json::{Value, json};

use super::conversation::Session;
use crate::protocol::member::{member, string_member};
use crate::protocol::modern::TASKS;
use crate::protocol::names::method;

/// Something that not every client can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To ask its model.
    Sampling,
    /// To ask its model and offer it tools.
    SamplingWithTools,
    /// To have its user fill in a form.
    Form,
    /// To have its user visit a page.
    Page,
    /// To name its roots.
    Roots,
    /// To know the extension `tasks`.
    Tasks,
}

impl Need {
    /// Returns what a question with these `params` needs; `None` where no client can be asked this in an answer.
    pub(super) fn of(method: &str, params: &[u8]) -> Option<Self> {
        Some(match method {
            method::SAMPLING if member(params, "tools").is_some() => Self::SamplingWithTools,
            method::SAMPLING => Self::Sampling,
            method::ELICIT if string_member(params, "mode").as_deref() == Some("url") => Self::Page,
            method::ELICIT => Self::Form,
            method::ROOTS_LIST => Self::Roots,
            _ => return None,
        })
    }

    /// Returns whether the client of a session has declared it.
    pub(super) fn is_met_by(self, session: &Session) -> bool {
        let Some(facts) = session.facts() else {
            return false;
        };
        let has = |capability: &str, feature: &str| {
            let its = facts.capabilities.get(capability);
            its.and_then(|its| its.get(feature))
                .is_some_and(|its| !its.is_null())
        };
        match self {
            Self::Sampling => facts.declares("sampling"),
            Self::SamplingWithTools => has("sampling", "tools"),
            // Whoever says nothing more means forms (2025-11-25, "Elicitation").
            Self::Form => {
                facts.declares("elicitation") && (has("elicitation", "form") || !has("elicitation", "url"))
            }
            Self::Page => has("elicitation", "url"),
            Self::Roots => facts.declares("roots"),
            Self::Tasks => has("extensions", TASKS),
        }
    }

    /// Returns what a client says that has it: a part of its capabilities.
    pub(super) fn capabilities(self) -> Value {
        match self {
            Self::Sampling => json!({ "sampling": {} }),
            Self::SamplingWithTools => json!({ "sampling": { "tools": {} } }),
            Self::Form => json!({ "elicitation": { "form": {} } }),
            Self::Page => json!({ "elicitation": { "url": {} } }),
            Self::Roots => json!({ "roots": {} }),
            Self::Tasks => json!({ "extensions": { TASKS: {} } }),
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sampling => "sampling",
            Self::SamplingWithTools => "sampling.tools",
            Self::Form => "elicitation",
            Self::Page => "elicitation.url",
            Self::Roots => "roots",
            Self::Tasks => "the extension tasks",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_tells_what_is_needed() {
        let check = |method: &str, params: &str, expect| {
            assert_eq!(Need::of(method, params.as_bytes()), expect, "{method} {params}");
        };
        check(method::SAMPLING, r#"{"messages":[]}"#, Some(Need::Sampling));
        check(method::SAMPLING, r#"{"tools":[]}"#, Some(Need::SamplingWithTools));
        check(method::ELICIT, r#"{"message":"m"}"#, Some(Need::Form));
        check(method::ELICIT, r#"{"mode":"form"}"#, Some(Need::Form));
        check(method::ELICIT, r#"{"mode":"url"}"#, Some(Need::Page));
        check(method::ROOTS_LIST, "{}", Some(Need::Roots));
        check(method::TOOLS_LIST, "{}", None);
    }
}
