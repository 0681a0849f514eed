//! A case: circumstances and a message in, the decision that is expected out. `[[smoke]]` in a manifest, `[[case]]` in
//! `cases/*.toml`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::manifest::{Direction, ManifestError, MessageKind};

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Case {
    /// What it is about; shown.
    pub name: String,
    /// What is called.
    pub hook: CaseHook,
    /// Given to `init` in the place of the operator's configuration.
    pub config: Option<Value>,
    /// The circumstances.
    #[serde(default)]
    pub context: CaseContext,
    /// The message: a table, or its text. What it lacks of `jsonrpc`, `id` and `method` is added.
    pub message: Option<Value>,
    /// What the message names (`authorize`).
    pub item: Option<CaseItem>,
    /// What is to be filtered (`filter`).
    #[serde(default)]
    pub items: Vec<CaseItem>,
    /// Where the request could go (`choose`).
    #[serde(default)]
    pub candidates: Vec<CaseCandidate>,
    /// What has to come out.
    pub expect: Expectation,
}

/// What a case calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaseHook {
    /// `on-message.on-message`.
    OnMessage,
    /// `access.authorize`.
    Authorize,
    /// `access.filter`.
    Filter,
    /// `routing.choose`.
    Choose,
}

impl CaseHook {
    /// Returns the name of the function.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnMessage => "on-message",
            Self::Authorize => "authorize",
            Self::Filter => "filter",
            Self::Choose => "choose",
        }
    }
}

/// The circumstances of a case: `call-context` of the WIT. What is absent is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct CaseContext {
    /// Absent: `case`.
    pub request_id: Option<String>,
    /// A digest of the session.
    pub session: Option<String>,
    /// Absent: `client-to-server`.
    pub direction: Direction,
    /// Absent: `request`.
    pub kind: MessageKind,
    /// Absent: that of the message.
    pub method: Option<String>,
    /// Absent: the message's tool, prompt or resource, where it names one.
    pub target: Option<String>,
    /// The registered server.
    pub server: Option<String>,
    /// The mode.
    pub mode: Option<String>,
    /// The caller.
    pub principal: Option<CasePrincipal>,
    /// The MCP version.
    pub protocol_version: Option<String>,
    /// Further facts.
    pub attributes: Map<String, Value>,
}

/// Who makes the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CasePrincipal {
    /// The name.
    pub subject: String,
    /// Who vouches for it.
    pub issuer: Option<String>,
    /// What the issuer says of it.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// `catalog-item` of the WIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaseItem {
    /// `tool`, `prompt`, `resource`, `resource-template`, `capability` or `server`.
    pub kind: String,
    /// Its name, URI or template.
    pub name: String,
    /// Absent: that of the context.
    pub server: Option<String>,
    /// As the server wrote it.
    pub description: Option<String>,
    /// A table, or its JSON text.
    pub annotations: Option<Value>,
}

/// `candidate` of the WIT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaseCandidate {
    /// The registered server.
    pub server: String,
    /// One of its processes.
    pub instance: Option<String>,
    /// Absent: true.
    #[serde(default = "yes")]
    pub healthy: bool,
    /// Absent: 0.
    #[serde(default)]
    pub in_flight: u32,
    /// Absent: 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// Texts by name.
    #[serde(default)]
    pub labels: Map<String, Value>,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

/// What has to come out of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Expectation {
    /// These indexes, in this order.
    Indexes(Vec<u32>),
    /// This decision.
    Decision(ExpectedDecision),
}

/// A decision, and as much of it as matters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExpectedDecision {
    /// Which.
    pub decision: DecisionKind,
    /// Code of the JSON-RPC error of a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// What the client reads of a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the log says of a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The whole message after edits or a replacement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// All notes, texts by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Map<String, Value>>,
}

/// The decisions of all hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionKind {
    /// Goes on.
    Pass,
    /// Goes no further.
    Deny,
    /// Goes on with changes.
    Edit,
    /// Goes on with other `params` or another `result`.
    Replace,
    /// As the gateway would have chosen (`choose`).
    Default,
}

impl TryFrom<Value> for Expectation {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let read = match value {
            Value::Array(_) => serde_json::from_value(value).map(Self::Indexes),
            Value::String(_) => serde_json::from_value(json!({ "decision": value })).map(Self::Decision),
            table => serde_json::from_value(table).map(Self::Decision),
        };
        read.map_err(|error| {
            format!(
                "{error}; expected \"pass\", \"deny\", \"edit\", \"replace\" or \"default\", a table {{ decision = \"deny\", \
                 code = -32001 }}, or a list of indexes"
            )
        })
    }
}

impl From<Expectation> for Value {
    fn from(expectation: Expectation) -> Self {
        match expectation {
            Expectation::Indexes(indexes) => indexes.into(),
            Expectation::Decision(decision) => {
                serde_json::to_value(decision).expect("an expectation becomes JSON")
            }
        }
    }
}

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    case: Vec<Case>,
}

impl Case {
    /// Reads a file of cases from its text. The path is for messages.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn parse_file(path: &Path, text: &str) -> Result<Vec<Self>, ManifestError> {
        let path = path.to_owned();
        let file: CaseFile = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                let message = error.to_string();
                return Err(ManifestError::Malformed { path, message });
            }
        };
        let problems: Vec<String> = file.case.iter().flat_map(Self::problems).collect();
        if problems.is_empty() {
            Ok(file.case)
        } else {
            Err(ManifestError::Wrong { path, problems })
        }
    }

    /// Returns what makes no sense, with the remedy.
    pub(super) fn problems(&self) -> Vec<String> {
        let hook = self.hook.as_str();
        let mut problems = Vec::new();
        if !self.expects_fitting() {
            problems.push(
                match self.hook {
                    CaseHook::OnMessage => "on-message answers \"pass\", \"deny\", \"edit\" or \"replace\"",
                    CaseHook::Authorize => "authorize answers \"pass\" or \"deny\"",
                    CaseHook::Filter => "filter answers with a list of indexes",
                    CaseHook::Choose => "choose answers \"default\", \"deny\" or with a list of indexes",
                }
                .to_owned(),
            );
        }
        let misplaced = [
            (
                "item",
                self.item.is_some() && self.hook != CaseHook::Authorize,
                "authorize",
            ),
            (
                "items",
                !self.items.is_empty() && self.hook != CaseHook::Filter,
                "filter",
            ),
            (
                "candidates",
                !self.candidates.is_empty() && self.hook != CaseHook::Choose,
                "choose",
            ),
        ];
        problems.extend(
            misplaced
                .into_iter()
                .filter(|(_, is_misplaced, _)| *is_misplaced)
                .map(|(key, _, owner)| format!("`{key}` belongs to the hook {owner}, not to {hook}")),
        );
        if self.context.method.is_none()
            && self
                .message_object()
                .is_none_or(|message| !message.contains_key("method"))
        {
            problems.push("no method: give `context.method`".to_owned());
        }
        let named = |problem| format!("\"{}\": {problem}", self.name);
        problems.into_iter().map(named).collect()
    }

    fn expects_fitting(&self) -> bool {
        use DecisionKind::{Default, Deny, Edit, Pass, Replace};
        match (&self.expect, self.hook) {
            (Expectation::Indexes(_), hook) => matches!(hook, CaseHook::Filter | CaseHook::Choose),
            (Expectation::Decision(expected), hook) => match hook {
                CaseHook::OnMessage => matches!(expected.decision, Pass | Deny | Edit | Replace),
                CaseHook::Authorize => matches!(expected.decision, Pass | Deny),
                CaseHook::Filter => false,
                CaseHook::Choose => matches!(expected.decision, Default | Deny),
            },
        }
    }

    /// Returns the method that the case is about.
    pub fn method(&self) -> String {
        let in_message = || Some(self.message_object()?.get("method")?.as_str()?.to_owned());
        let method = self.context.method.clone().or_else(in_message);
        method.unwrap_or_default()
    }

    /// Returns the message as JSON text. What its kind needs of `jsonrpc`, `id`, `method`, `result` and `error` is added to
    /// a table, and to a text that has no `jsonrpc`; another text stays as it is.
    pub fn message_text(&self) -> String {
        let given = self.message_object();
        if let Some(Value::String(text)) = &self.message
            && given.as_ref().is_none_or(|object| object.contains_key("jsonrpc"))
        {
            return text.clone();
        }
        let mut whole = Map::new();
        let mut add = |key: &str, value: Value| whole.insert(key.to_owned(), value);
        add("jsonrpc", "2.0".into());
        if self.context.kind != MessageKind::Notification {
            add("id", 1.into());
        }
        match self.context.kind {
            MessageKind::Request | MessageKind::Notification => add("method", self.method().into()),
            MessageKind::Response => add("result", json!({})),
            MessageKind::ErrorResponse => add("error", json!({ "code": -32603, "message": "" })),
        };
        whole.extend(given.unwrap_or_default());
        Value::Object(whole).to_string()
    }

    fn message_object(&self) -> Option<Map<String, Value>> {
        match self.message.clone()? {
            Value::Object(object) => Some(object),
            Value::String(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        let text = format!("[[case]]\nname = \"c\"\n{text}");
        let cases = Case::parse_file(Path::new("cases/c.toml"), &text).expect("a case");
        cases.into_iter().next().expect("one")
    }

    fn refusal(text: &str) -> String {
        let text = format!("[[case]]\nname = \"c\"\n{text}");
        let refused = Case::parse_file(Path::new("cases/c.toml"), &text);
        refused.expect_err("refused").to_string()
    }

    #[test]
    fn messages_get_what_their_kind_needs() {
        for (text, message) in [
            (
                "hook = \"on-message\"\nexpect = \"pass\"\nmessage = { method = \"a/b\", params = { x = 1 } }",
                r#"{"jsonrpc":"2.0","id":1,"method":"a/b","params":{"x":1}}"#,
            ),
            (
                "hook = \"on-message\"\nexpect = \"pass\"\ncontext = { method = \"n\", kind = \"notification\" }",
                r#"{"jsonrpc":"2.0","method":"n"}"#,
            ),
            (
                "hook = \"filter\"\nexpect = []\ncontext = { method = \"tools/list\", kind = \"response\" }",
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            ),
            (
                "hook = \"on-message\"\nexpect = \"pass\"\ncontext = { method = \"m\" }\nmessage = '{\"params\":{}}'",
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#,
            ),
            (
                "hook = \"on-message\"\nexpect = \"pass\"\ncontext = { method = \"m\" }\nmessage = 'no JSON'",
                "no JSON",
            ),
            (
                "hook = \"on-message\"\nexpect = \"pass\"\nmessage = '{ \"method\":\"m\", \"jsonrpc\":\"2.0\" }'",
                r#"{ "method":"m", "jsonrpc":"2.0" }"#,
            ),
        ] {
            assert_eq!(case(text).message_text(), message);
        }
    }

    #[test]
    fn expectations_are_decisions_or_indexes() {
        let decision = case(
            "hook = \"authorize\"\ncontext = { method = \"m\" }\nexpect = { decision = \"deny\", code = -3 }",
        );
        let Expectation::Decision(expected) = &decision.expect else {
            panic!("a decision: {decision:?}");
        };
        assert_eq!((expected.decision, expected.code), (DecisionKind::Deny, Some(-3)));
        let indexes = case("hook = \"choose\"\ncontext = { method = \"m\" }\nexpect = [1, 0]");
        assert_eq!(indexes.expect, Expectation::Indexes(vec![1, 0]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_remedy() {
        for (text, said) in [
            (
                "hook = \"filter\"\ncontext = { method = \"m\" }\nexpect = \"pass\"",
                "a list of indexes",
            ),
            (
                "hook = \"choose\"\ncontext = { method = \"m\" }\nexpect = \"edit\"",
                "choose answers",
            ),
            (
                "hook = \"on-message\"\nexpect = \"pass\"",
                "give `context.method`",
            ),
            (
                "hook = \"on-message\"\nexpect = \"pass\"\ncontext = { method = \"m\" }\nitems = [{ kind = \"tool\", name = \"t\" }]",
                "`items` belongs to the hook filter",
            ),
            (
                "hook = \"on-message\"\nexpect = \"alow\"\ncontext = { method = \"m\" }",
                "unknown variant `alow`",
            ),
            (
                "hook = \"on-mesage\"\nexpect = \"pass\"",
                "expected one of `on-message`",
            ),
            ("hook = \"on-message\"\nexpct = \"pass\"", "unknown field `expct`"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with("cases/c.toml: "), "{refusal}");
            assert!(refusal.contains(said), "{text}: {refusal}");
        }
    }
}
