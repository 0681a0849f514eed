//! What a server's lists say of its tools over HTTP (2026-07-28, "Custom Headers"): which arguments of a call are mirrored
//! in its head, and which tools are not to be used, because what they say of headers breaks the rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use crate::protocol::Message;
use crate::protocol::member::{Members, member, members};
use crate::protocol::modern::headers::encode;
use crate::protocol::modern::mirror::{
    ANNOTATION, AnnotationError, Mirrored, argument, header_text, mirrored,
};
use crate::protocol::scan::scan_array;
use crate::upstream::SCAN;

/// Most tools of which something is kept, and most bytes of one; the arguments of others have no headers.
const TOOLS_MAX: usize = 4096;
const TOOL_BYTES_MAX: usize = 16 * 1024;

/// What is known of a server's tools. A std mutex: held for look-ups.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    known: Mutex<Known>,
    /// How often the gateway has asked for the lists by itself.
    listings: AtomicU64,
    /// Held by whoever does.
    pub(super) listing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// Tools without annotations are not here.
    tools: BTreeMap<String, Result<Vec<Mirrored>, AnnotationError>>,
    /// Whether a list was read to its end.
    is_whole: bool,
}

/// What a list of tools brought.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The list without the tools that are not to be used, where there are such.
    pub(super) without: Option<Bytes>,
    /// Those of them that are new, and what is wrong with them.
    pub(super) refused: Vec<(String, AnnotationError)>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
    #[serde(rename = "inputSchema")]
    schema: Value,
}

impl Mirrors {
    /// Learns from an answer to `tools/list`.
    pub(super) fn learn(&self, answer: &Message) -> Listed {
        let Some(result) = answer.result() else {
            return Listed::default();
        };
        let mut known = self.lock();
        let is_annotated = memchr::memmem::find(&result, ANNOTATION.as_bytes()).is_some();
        if known.is_whole && !is_annotated && known.tools.is_empty() {
            return Listed::default();
        }
        let Some(list) = members(&result) else {
            return Listed::default();
        };
        known.is_whole |= !list.contains_key("nextCursor");
        known.take(answer, &list).unwrap_or_default()
    }

    /// Returns whether a list was read to its end; before, it is not known what a call has to mirror.
    pub(super) fn is_whole(&self) -> bool {
        self.lock().is_whole
    }

    /// Returns how often the gateway has asked for the lists by itself.
    pub(super) fn listings(&self) -> u64 {
        self.listings.load(Ordering::Relaxed)
    }

    /// Takes it that the server, which was asked, has told all that it tells.
    pub(super) fn set_whole(&self) {
        self.lock().is_whole = true;
        self.listings.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns why a tool is not to be used.
    pub(super) fn refusal(&self, tool: &str) -> Option<AnnotationError> {
        self.lock().tools.get(tool)?.as_ref().err().cloned()
    }

    /// Adds the headers of a call with these `params`, which few tools have any of.
    pub(super) fn write(&self, tool: &str, params: &[u8], headers: &mut HeaderMap) {
        let Some(mirrored) = self.of(tool) else {
            return;
        };
        let arguments = member(params, "arguments").map(|raw| serde_json::from_str::<Value>(raw.get()));
        let Some(Ok(arguments)) = arguments else {
            return;
        };
        for Mirrored { header, path } in &mirrored {
            let value = argument(&arguments, path).map(header_text);
            let value = value.and_then(|text| HeaderValue::from_str(&encode(&text)).ok());
            if let (Some(value), Ok(name)) = (value, HeaderName::from_bytes(header.as_bytes())) {
                headers.insert(name, value);
            }
        }
    }

    fn of(&self, tool: &str) -> Option<Vec<Mirrored>> {
        self.lock().tools.get(tool)?.as_ref().ok().cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no holder panics")
    }
}

impl Known {
    /// Goes through the tools of a list; `None` where it is none.
    fn take(&mut self, answer: &Message, list: &Members<'_>) -> Option<Listed> {
        let tools = list.get("tools")?.get();
        let mut listed = Listed::default();
        let (mut kept, mut has_all) = (Vec::new(), true);
        for span in scan_array(tools.as_bytes(), SCAN, usize::MAX).ok()?? {
            let text = &tools[span];
            match serde_json::from_str::<Tool>(text).map(|tool| self.judge(tool, &mut listed)) {
                Ok(false) => has_all = false,
                // What is no tool is its readers' to judge.
                Ok(true) | Err(_) => kept.push(text),
            }
        }
        listed.without = (!has_all).then(|| replace(answer.bytes(), tools, &format!("[{}]", kept.join(","))));
        Some(listed)
    }

    /// Remembers what a tool says of headers; returns whether it may be used.
    fn judge(&mut self, tool: Tool, listed: &mut Listed) -> bool {
        let rule = mirrored(&tool.schema);
        let is_usable = rule.is_ok();
        if let Err(error) = &rule
            && self.tools.get(&tool.name) != Some(&rule)
        {
            listed.refused.push((tool.name.clone(), error.clone()));
        }
        let mirrored = rule.iter().flatten().map(Mirrored::bytes).sum::<usize>();
        if mirrored + tool.name.len() > TOOL_BYTES_MAX || rule.as_ref().is_ok_and(Vec::is_empty) {
            self.tools.remove(&tool.name);
        } else if self.tools.len() < TOOLS_MAX || self.tools.contains_key(&tool.name) {
            self.tools.insert(tool.name, rule);
        }
        is_usable
    }
}

/// Returns a text with another one in the place of `part`, which is a part of it.
fn replace(text: &Bytes, part: &str, other: &str) -> Bytes {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    [&text[..start], other.as_bytes(), &text[start + part.len()..]]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"}}}"#;
    const INVALID: &str = r#"{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}"#;

    fn list(tools: &str, more: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a" :1,"tools": {tools} {more}}}}}"#);
        Message::parse(text.into(), SCAN).expect("a message")
    }

    fn tool(name: &str, schema: &str) -> String {
        format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)
    }

    #[track_caller]
    fn check(mirrors: &Mirrors, arguments: &str, expect: &[(&str, &str)]) {
        let mut headers = HeaderMap::new();
        let params = format!(r#"{{"arguments":{arguments}}}"#);
        mirrors.write("a", params.as_bytes(), &mut headers);
        let seen = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        assert_eq!(seen, expect, "{arguments}");
    }

    #[test]
    fn arguments_are_mirrored_as_the_list_of_tools_says() {
        let mirrors = Mirrors::default();
        let annotated = format!("[{},{}]", tool("a", VALID), tool("b", "{}"));
        let listed = mirrors.learn(&list(&annotated, r#","nextCursor":"2""#));
        assert!(listed.without.is_none() && listed.refused.is_empty());
        assert!(!mirrors.is_whole(), "there is another page");
        let arguments = r#"{"region":"Süd","n":7}"#;
        let region = ("mcp-param-region", "=?base64?U8O8ZA==?=");
        check(&mirrors, arguments, &[("mcp-param-n", "7"), region]);
        check(&mirrors, r#"{"region":null}"#, &[]);
        mirrors.learn(&list(&format!("[{}]", tool("a", "{}")), ""));
        assert!(mirrors.is_whole());
        check(&mirrors, arguments, &[]);
    }

    #[test]
    fn a_tool_that_breaks_the_rules_is_left_out_and_the_rest_stays_as_it_is() {
        let mirrors = Mirrors::default();
        let (first, odd, last) = (tool("a", VALID), r#"{"odd": true}"#, tool("c", "{}"));
        let tools = format!("[{first} , {},{odd},\t{last}]", tool("b", INVALID));
        let listed = mirrors.learn(&list(&tools, ""));
        let expect = list(&format!("[{first},{odd},{last}]"), "");
        assert_eq!(listed.without.as_ref(), Some(expect.bytes()));
        let (name, error) = &listed.refused[0];
        assert_eq!((name.as_str(), error.place.as_str()), ("b", "a"));
        assert_eq!(mirrors.refusal("b").as_ref(), Some(error));
        assert_eq!(mirrors.refusal("a"), None);
        let again = mirrors.learn(&list(&tools, ""));
        assert!(
            again.without.is_some() && again.refused.is_empty(),
            "it is no news"
        );
        mirrors.learn(&list(&format!("[{}]", tool("b", "{}")), ""));
        assert_eq!(mirrors.refusal("b"), None, "it was mended");
    }

    #[test]
    fn so_many_tools_are_kept_and_no_more() {
        let mirrors = Mirrors::default();
        let tools: Vec<String> = (0..=TOOLS_MAX)
            .map(|number| tool(&number.to_string(), VALID))
            .collect();
        mirrors.learn(&list(&format!("[{}]", tools.join(",")), ""));
        assert_eq!(mirrors.lock().tools.len(), TOOLS_MAX);
        let mirrors = Mirrors::default();
        let large = VALID.replace("\"n\"", &format!("{:?}", "n".repeat(TOOL_BYTES_MAX)));
        mirrors.learn(&list(
            &format!("[{},{}]", tool("a", &large), tool("b", VALID)),
            "",
        ));
        assert_eq!(mirrors.lock().tools.keys().collect::<Vec<_>>(), ["b"]);
    }
}
