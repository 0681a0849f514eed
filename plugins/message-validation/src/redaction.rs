//! What results must not reveal. Texts are changed, wherever they are in a result; names of members are not.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use kit::config::{self, Configured, Fault};
use kit::{Glob, quoted};

use crate::message::{Circumstances, Value};
use crate::pattern::Pattern;
use crate::regex::Template;
use crate::walk::walk;

/// Something that is not to be read in results.
#[derive(Debug)]
pub struct Redaction {
    /// Whose results; absent: anybody's.
    tool: Option<Glob>,
    server: Option<Glob>,
    mode: Option<Glob>,
    pattern: Pattern,
    with: Template,
}

/// A text in the message, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is.
    pub pointer: String,
    /// The new text, as JSON.
    pub json: String,
}

impl Configured for Redaction {
    fn read(value: config::Value) -> Result<Self, Fault> {
        value.members(|members| {
            let pattern: Pattern = members.required("pattern")?;
            let with: Option<String> = members.optional("with");
            Ok(Self {
                tool: members.optional("tool"),
                server: members.optional("server"),
                mode: members.optional("mode"),
                with: pattern.template(with.as_deref().unwrap_or("[redacted]")),
                pattern,
            })
        })
    }
}

/// What tells of a task holds what its tool has come to, and does not say which tool that is.
const OF_TASKS: [&str; 3] = ["tasks/get", "tasks/result", "notifications/tasks"];

impl Redaction {
    /// Tells whether it is for a message. What is not known counts as meant.
    pub fn applies(&self, call: &Circumstances) -> bool {
        let fits = |glob: &Option<Glob>, text: Option<&str>| {
            glob.as_ref()
                .zip(text)
                .is_none_or(|(glob, text)| glob.matches(text))
        };
        let (of_tool, tool) = match call.method {
            "tools/call" => (true, call.target),
            method => (OF_TASKS.contains(&method), None),
        };
        (of_tool || self.tool.is_none())
            && fits(&self.tool, tool)
            && fits(&self.server, call.server)
            && fits(&self.mode, call.mode)
    }
}

/// Returns the changes that take out of a JSON text what is not to be read. `base` is the pointer to it.
///
/// # Errors
/// The text cannot be read.
pub fn changes(redactions: &[&Redaction], text: &str, base: &str) -> Result<Vec<Change>, String> {
    let mut changes = Vec::new();
    walk(text, base, &mut |pointer, value| {
        let Value::Text(text) = value else { return };
        if let Some(changed) = redact(redactions, &text) {
            changes.push(Change {
                pointer: pointer.to_owned(),
                json: quoted(&changed),
            });
        }
    })?;
    Ok(changes)
}

/// Each redaction sees what the earlier ones have left.
fn redact(redactions: &[&Redaction], text: &str) -> Option<String> {
    let mut changed = None;
    for redaction in redactions {
        let now = changed.as_deref().unwrap_or(text);
        changed = redaction.pattern.replace(now, &redaction.with).or(changed);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Kind;

    fn redaction(json: &str) -> Redaction {
        config::read(json).expect("a redaction")
    }

    #[test]
    fn one_for_a_tool_is_for_the_tasks_of_any() {
        let for_tool = redaction(r#"{"pattern":"x","tool":"read-*"}"#);
        let applies = |method, target| {
            for_tool.applies(&Circumstances {
                kind: Kind::Result,
                method,
                target,
                server: None,
                mode: None,
                size: 1,
            })
        };
        assert!(applies("tools/call", Some("read-file")) && applies("tools/call", None));
        assert!(!applies("tools/call", Some("write")) && !applies("resources/read", Some("read-it")));
        for method in OF_TASKS {
            assert!(applies(method, Some("7")), "{method}");
        }
    }

    #[test]
    fn every_text_is_read_as_it_is_meant() {
        let keys = redaction(r#"{"pattern":"sk-[a-z]+"}"#);
        let json = r#"{"content":[{"type":"text","text":"a sk-abc b"}],"deep":{"x/y":["\u0073k-q","no"]},"sk-key":1}"#;
        let expected = [
            ("/result/content/0/text", r#""a [redacted] b""#),
            ("/result/deep/x~1y/0", r#""[redacted]""#),
        ];
        let expected = expected.map(|(pointer, json)| Change {
            pointer: pointer.to_owned(),
            json: json.to_owned(),
        });
        assert_eq!(changes(&[&keys], json, "/result"), Ok(expected.to_vec()));
    }

    #[test]
    fn redactions_come_one_after_the_other() {
        let name = redaction(r#"{"pattern":"user=(\\w)\\w*","with":"user=$1\""}"#);
        let quote = redaction(r#"{"pattern":"\"","with":"'"}"#);
        let changed = changes(&[&name, &quote], r#"["user=alice"]"#, "").expect("JSON");
        assert_eq!(changed[0].json, r#""user=a'""#);
        assert_eq!(changes(&[&quote], r#"["x"]"#, ""), Ok(Vec::new()));
    }
}
