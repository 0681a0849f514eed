//! Texts of the configuration in which variables are filled in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::expand::{expand, has_bare_variable};
use super::normalise::join;
use super::scope::Scope;
use super::secret::{Expanded, ExpandedJson};
use super::tree::{Leaf, Node, Table};
use super::violation::{Findings, Place};

/// Fills in variables, and reports those that are missing.
pub(super) struct Texts<'a> {
    /// The environment; `None` where texts are literal.
    pub(super) variables: Option<&'a BTreeMap<String, String>>,
    /// Where violations go.
    pub(super) findings: &'a Findings,
}

impl Texts<'_> {
    /// Reads one text.
    pub(super) fn one(&self, scope: &Scope<'_>, key: &str) -> Option<Expanded> {
        let Leaf { value, place } = scope.leaf(key)?;
        value
            .as_str()
            .map(|text| self.fill(text, place, &scope.path(key)))
    }

    /// Reads a list of texts.
    pub(super) fn list(&self, scope: &Scope<'_>, key: &str) -> Vec<Expanded> {
        let Some(Leaf {
            value: Value::Array(list),
            place,
        }) = scope.leaf(key)
        else {
            return Vec::new();
        };
        let path = scope.path(key);
        let texts = list
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| Some((index, entry.as_str()?)));
        texts
            .map(|(index, text)| self.fill(text, place, &format!("{path}[{index}]")))
            .collect()
    }

    /// Reads a table of texts.
    pub(super) fn table(&self, scope: &Scope<'_>, key: &str) -> BTreeMap<String, Expanded> {
        let Some(Node::Table(table)) = scope.node(key) else {
            return BTreeMap::new();
        };
        let path = scope.path(key);
        let mut texts = BTreeMap::new();
        for (name, node) in &table.entries {
            if let Node::Leaf(Leaf {
                value: Value::String(text),
                place,
            }) = node
            {
                texts.insert(name.clone(), self.fill(text, place, &format!("{path}.{name}")));
            }
        }
        texts
    }

    /// Reads a table of anything, with the texts in it.
    pub(super) fn json(&self, table: &Table, path: &str) -> ExpandedJson {
        let (mut template, mut value) = (Map::new(), Map::new());
        for (key, node) in &table.entries {
            let path = join(path, key);
            let (shown, filled) = match node {
                Node::Table(table) => {
                    let inside = self.json(table, &path);
                    (inside.template().clone(), inside.value().clone())
                }
                Node::Leaf(Leaf { value, place }) => self.inside(value, place, &path),
            };
            template.insert(key.clone(), shown);
            value.insert(key.clone(), filled);
        }
        ExpandedJson::new(template.into(), value.into())
    }

    /// Returns a value as it may be shown, and with its variables filled in.
    fn inside(&self, value: &Value, place: &Place, path: &str) -> (Value, Value) {
        match value {
            Value::String(text) => {
                let text = self.fill(text, place, path);
                (text.template().into(), text.value().into())
            }
            Value::Array(list) => {
                let entries = list.iter().enumerate();
                let (template, value): (Vec<_>, Vec<_>) = entries
                    .map(|(index, entry)| self.inside(entry, place, &format!("{path}[{index}]")))
                    .unzip();
                (template.into(), value.into())
            }
            Value::Object(map) => {
                let inside = self.json(&Table::new(map.clone(), place), path);
                (inside.template().clone(), inside.value().clone())
            }
            plain => (plain.clone(), plain.clone()),
        }
    }

    fn fill(&self, text: &str, place: &Place, path: &str) -> Expanded {
        if text.contains('\0') {
            self.findings.refuse(place, path, "must not contain a zero byte");
        }
        let Some(variables) = self.variables else {
            return Expanded::literal(text);
        };
        if let Place::Variable(name) = place {
            // What a variable contains is never expanded again.
            return Expanded::new(format!("${{{name}}}"), text.to_owned());
        }
        if has_bare_variable(text) {
            let warning = "`$NAME` stays as it is, no shell reads it; write `${NAME}` for a variable";
            self.findings.warn(place, path, warning);
        }
        let value = expand(text, variables).unwrap_or_else(|errors| {
            errors
                .iter()
                .for_each(|error| self.findings.refuse(place, path, error.to_string()));
            // Only so that nobody takes it for an empty text: with a violation nothing is returned.
            text.to_owned()
        });
        if value.contains('\0') && !text.contains('\0') {
            self.findings.refuse(
                place,
                path,
                "must not contain a zero byte once its variables are filled in",
            );
        }
        Expanded::new(text, value)
    }
}
