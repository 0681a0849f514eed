//! What a message of a server shows: the elements of a list, the resources in a result or a prompt, and the resource that
//! a tool is drawn with (`_meta.ui.resourceUri`, of the extension for apps). Each can be taken out without the rest.
//!
//! What is free text to the protocol is not looked into: `structuredContent`, `instructions`, descriptions. A name in there
//! opens nothing, since access is asked about whatever is then read or called.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use memchr::memmem;

use super::item::Unclear;
use crate::plugin::call::{CatalogItem, MessageKind};
use crate::protocol::document::{Ambiguous, Document};
use crate::protocol::edit;
use crate::protocol::mcp::LISTINGS;
use crate::protocol::names::method;
use crate::protocol::scan::Span;

/// Something that a message shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// What goes if this may not be seen.
    place: Place,
    /// None for what does not say clearly what it is, which nobody may see.
    pub(super) item: Option<CatalogItem>,
}

/// Where something is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// In an element of the array at a pointer.
    Element { array: String, index: usize },
    /// In a member of the object at a pointer.
    Member { object: String, key: &'static str },
}

/// A list of what a server has.
#[derive(Debug, Clone, Copy)]
struct Listed {
    member: &'static str,
    key: &'static str,
    kind: &'static str,
}

/// Tasks are listed too, though they are in no catalog.
const TASKS: Listed = Listed {
    member: "tasks",
    key: "taskId",
    kind: "task",
};

/// In which form a message shows things.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// A list of what the server has.
    List(Listed),
    /// What a tool has come to.
    Outcome(&'static str),
    /// Messages with content blocks.
    Messages(&'static str),
    /// What was read of resources.
    Contents(&'static str),
}

fn form(method: &str, kind: MessageKind) -> Option<Form> {
    match (kind, method) {
        (MessageKind::Request, method::SAMPLING) => Some(Form::Messages("/params/messages")),
        (MessageKind::Response, method::TOOLS_CALL | method::TASKS_RESULT) => Some(Form::Outcome("/result")),
        // A task of the extension holds it, once it is there.
        (MessageKind::Response, method::TASKS_GET) => Some(Form::Outcome("/result/result")),
        (MessageKind::Notification, method::TASKS_STATUS) => Some(Form::Outcome("/params/result")),
        (MessageKind::Response, method::PROMPTS_GET) => Some(Form::Messages("/result/messages")),
        (MessageKind::Response, method::READ) => Some(Form::Contents("/result/contents")),
        (MessageKind::Response, method::TASKS_LIST) => Some(Form::List(TASKS)),
        (MessageKind::Response, _) => {
            let listing = LISTINGS.iter().find(|listing| listing.method == method)?;
            Some(Form::List(Listed {
                member: listing.member,
                key: listing.key,
                kind: listing.kind,
            }))
        }
        _ => None,
    }
}

/// Returns whether messages of a kind can show anything; `method` of an answer is that of its request.
pub(super) fn can_show(method: &str, kind: MessageKind) -> bool {
    form(method, kind).is_some()
}

/// Returns what a message of a server shows. `resource` makes an item of a URI.
///
/// # Errors
/// It does not say clearly what it shows.
pub(super) fn shown(
    (method, kind): (&str, MessageKind),
    message: &Document,
    server: &str,
    resource: &(dyn Fn(String) -> CatalogItem + Sync),
) -> Result<Vec<Shown>, Unclear> {
    let mut found = Finder {
        message,
        server,
        resource,
        shown: Vec::new(),
    };
    match form(method, kind) {
        None => {}
        Some(Form::List(listed)) => found.list(listed)?,
        Some(Form::Contents(pointer)) => found.contents(pointer)?,
        Some(Form::Outcome(pointer)) if may_hold_resources(message) => {
            if let Some(outcome) = message.at(pointer)? {
                found.blocks(&format!("{pointer}/content"), true)?;
                found.drawn_with(&outcome, pointer)?;
            }
        }
        Some(Form::Messages(pointer)) if may_hold_resources(message) => found.messages(pointer)?,
        Some(Form::Outcome(_) | Form::Messages(_)) => {}
    }
    Ok(found.shown)
}

/// Returns the message without those of its things that are not `kept`.
///
/// # Errors
/// An object on the way holds a key twice.
pub(super) fn without(message: &Document, shown: &[Shown], kept: &[bool]) -> Result<Bytes, Ambiguous> {
    let mut gone: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut members = Vec::new();
    for (shown, _) in shown.iter().zip(kept).filter(|(_, kept)| !**kept) {
        match &shown.place {
            Place::Element { array, index } => drop(gone.entry(array).or_default().insert(*index)),
            Place::Member { object, key } => members.push((object.as_str(), *key)),
        }
    }
    // First of all, while every element is where its pointer says.
    let mut text = match members.is_empty() {
        true => message.bytes().clone(),
        false => edit::without_members(message, &members)?,
    };
    // Inner arrays stand behind the outer ones in this order, and go first: their places depend on those.
    for (array, indexes) in gone.into_iter().rev() {
        let document = Document::new(text.clone());
        let left = edit::retain(&document, array, |index| !indexes.contains(&index))?;
        text = left.unwrap_or(text);
    }
    Ok(text)
}

/// A quick look: a block that is a resource says so, in plain letters or in escapes.
fn may_hold_resources(message: &Document) -> bool {
    let has = |text: &str| memmem::find(message.bytes(), text.as_bytes()).is_some();
    has("resource") || has("\\u")
}

struct Finder<'a> {
    message: &'a Document,
    server: &'a str,
    resource: &'a (dyn Fn(String) -> CatalogItem + Sync),
    shown: Vec<Shown>,
}

impl Finder<'_> {
    fn list(&mut self, listed: Listed) -> Result<(), Unclear> {
        let array = format!("/result/{}", listed.member);
        let may_be_drawn = listed.kind == "tool" && may_hold_resources(self.message);
        for (index, element) in self.elements(&array)?.into_iter().enumerate() {
            if may_be_drawn {
                self.drawn_with(&element, &format!("{array}/{index}"))?;
            }
            let item = match self.text(&element, listed.key)? {
                None => None,
                Some(name) => Some(CatalogItem {
                    kind: listed.kind.to_owned(),
                    name,
                    server: self.server.to_owned(),
                    description: self.text(&element, "description")?,
                    annotations: self.json(&element, "annotations")?,
                }),
            };
            self.add(&array, index, item);
        }
        Ok(())
    }

    /// Looks at the resource that the object at a pointer is drawn with, by its name of today and by that of before.
    fn drawn_with(&mut self, object: &Span, pointer: &str) -> Result<(), Unclear> {
        let Some(meta) = self.message.member(object, "_meta")? else {
            return Ok(());
        };
        let ui = self.message.member(&meta, "ui")?;
        let places = [
            (ui, format!("{pointer}/_meta/ui"), "resourceUri"),
            (Some(meta), format!("{pointer}/_meta"), "ui/resourceUri"),
        ];
        for (holder, object, key) in places {
            let Some(holder) = holder else { continue };
            if self.message.member(&holder, key)?.is_some() {
                let item = self.text(&holder, key)?.map(self.resource);
                let place = Place::Member { object, key };
                self.shown.push(Shown { place, item });
            }
        }
        Ok(())
    }

    fn contents(&mut self, array: &str) -> Result<(), Unclear> {
        for (index, element) in self.elements(array)?.into_iter().enumerate() {
            let uri = self.text(&element, "uri")?;
            self.add(array, index, uri.map(self.resource));
        }
        Ok(())
    }

    fn messages(&mut self, array: &str) -> Result<(), Unclear> {
        for (index, message) in self.elements(array)?.into_iter().enumerate() {
            let Some(content) = self.message.member(&message, "content")? else {
                continue;
            };
            if self.message.bytes()[content.start] == b'[' {
                self.blocks(&format!("{array}/{index}/content"), true)?;
            } else {
                // One block: the message goes with it.
                self.block(array, index, &content, &format!("{array}/{index}/content"), true)?;
            }
        }
        Ok(())
    }

    fn blocks(&mut self, array: &str, may_nest: bool) -> Result<(), Unclear> {
        for (index, block) in self.elements(array)?.into_iter().enumerate() {
            self.block(array, index, &block, &format!("{array}/{index}"), may_nest)?;
        }
        Ok(())
    }

    /// Looks at the block that stands at `pointer` and goes with element `index` of `array`.
    fn block(
        &mut self,
        array: &str,
        index: usize,
        block: &Span,
        pointer: &str,
        may_nest: bool,
    ) -> Result<(), Unclear> {
        let uri = match self.text(block, "type")?.as_deref() {
            Some("resource_link") => self.text(block, "uri")?,
            Some("resource") => match self.message.member(block, "resource")? {
                Some(resource) => self.text(&resource, "uri")?,
                None => None,
            },
            Some("tool_result") if may_nest => {
                return self.blocks(&format!("{pointer}/content"), false);
            }
            Some("tool_result") => None,
            _ => return Ok(()),
        };
        self.add(array, index, uri.map(self.resource));
        Ok(())
    }

    /// Returns the elements of an array; nothing where no array or object stands.
    fn elements(&self, array: &str) -> Result<Vec<Span>, Unclear> {
        let Some(span) = self.message.at(array)? else {
            return Ok(Vec::new());
        };
        match self.message.level(&span)? {
            None => Ok(Vec::new()),
            Some(level) if level.is_object() => Err(Unclear::Nothing("an array")),
            Some(level) => Ok(level.entries().iter().map(|entry| entry.value.clone()).collect()),
        }
    }

    fn text(&self, object: &Span, key: &str) -> Result<Option<String>, Ambiguous> {
        let json = self.json(object, key)?;
        Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
    }

    fn json(&self, object: &Span, key: &str) -> Result<Option<String>, Ambiguous> {
        let span = self.message.member(object, key)?;
        Ok(span.map(|span| self.message.text(span).to_owned()))
    }

    fn add(&mut self, array: &str, index: usize, item: Option<CatalogItem>) {
        let array = array.to_owned();
        let place = Place::Element { array, index };
        self.shown.push(Shown { place, item });
    }
}

#[cfg(test)]
mod tests;
