//! Items that the `change` tool adds to the lists, so that a changed list is really another one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::catalogue::Kind;

/// What was added to which list.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    items: BTreeSet<(Kind, String)>,
}

impl Additions {
    /// Adds an item of this name, or removes it if it is there.
    pub(crate) fn toggle(&mut self, kind: Kind, name: &str) {
        let item = (kind, name.to_owned());
        if !self.items.remove(&item) {
            self.items.insert(item);
        }
    }

    pub(crate) fn has_tool(&self, name: &str) -> bool {
        self.items.contains(&(Kind::Tools, name.to_owned()))
    }

    pub(crate) fn has_resource(&self, uri: &str) -> bool {
        uri.strip_prefix("test://added/")
            .is_some_and(|name| self.items.contains(&(Kind::Resources, name.to_owned())))
    }

    pub(crate) fn has_prompt(&self, name: &str) -> bool {
        self.items.contains(&(Kind::Prompts, name.to_owned()))
    }

    /// Returns the entries of a list, by name.
    pub(crate) fn entries(&self, kind: Kind) -> Vec<String> {
        let names = self
            .items
            .iter()
            .filter(|(of, _)| *of == kind)
            .map(|(_, name)| name);
        names.map(|name| entry(kind, name).to_string()).collect()
    }
}

fn entry(kind: Kind, name: &str) -> Value {
    let description = "Added by the change tool";
    match kind {
        Kind::Tools => {
            json!({ "name": name, "description": description, "inputSchema": { "type": "object" } })
        }
        Kind::Resources => {
            json!({ "uri": format!("test://added/{name}"), "name": name, "description": description })
        }
        Kind::ResourceTemplates | Kind::Prompts => json!({ "name": name, "description": description }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_change_twice_leaves_nothing() {
        let mut additions = Additions::default();
        additions.toggle(Kind::Tools, "x");
        assert!(additions.has_tool("x") && !additions.has_prompt("x"));
        assert_eq!(additions.entries(Kind::Tools).len(), 1);
        assert!(additions.entries(Kind::Resources).is_empty());
        additions.toggle(Kind::Tools, "x");
        assert!(!additions.has_tool("x"));
    }
}
