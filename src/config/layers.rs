//! The layers of a configuration, and their merge. Later layers win; tables merge, everything else is
//! replaced; each value keeps the place it came from.

use std::collections::{BTreeMap, BTreeSet};

use figment::value::{Dict, Value as Tagged};
use figment::{Error, Figment, Metadata, Profile, Provider};
use serde_json::{Map, Value};

use super::document::Format;
use super::keys::{Key, SECTIONS, SERVERS, TOP, find, named};
use super::kind::Kind;
use super::normalise::{Role, kebab, normalise};
use super::tree::{Leaf, Node, Table};
use super::violation::{Findings, Place};

/// The embedded defaults: every key that has one, with a comment.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// What starts the name of an environment variable that sets a key.
const PREFIX: &str = "PORTCULLIS__";

/// Settings from one place, normalised.
pub(super) struct Layer {
    /// Where they were written.
    pub(super) place: Place,
    /// The settings.
    pub(super) values: Map<String, Value>,
}

impl Layer {
    /// The layer below all others.
    pub(super) fn defaults() -> Self {
        let document = Format::Toml
            .parse(DEFAULTS)
            .expect("the embedded defaults are TOML, a test reads them");
        let Value::Object(values) = document else {
            unreachable!("a TOML document is a table")
        };
        Self {
            place: Place::Default,
            values,
        }
    }

    /// The layer of one flag. `key` is a path such as `http.body-max`; names in it have no dots.
    pub(super) fn flag(key: &str, text: &str, findings: &Findings) -> Self {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        Self::nested(&path, read(&path, text), Place::Flag, findings)
    }

    /// The layers of the environment: `PORTCULLIS__SECTION__KEY`. Names of servers and principals are
    /// matched with those of the layers below without regard to case and punctuation, for variables have
    /// neither; a name that is not there yet is written in kebab-case.
    pub(super) fn environment(
        variables: &BTreeMap<String, String>,
        below: &[Self],
        findings: &Findings,
    ) -> Vec<Self> {
        let mut layers = Vec::new();
        for (variable, text) in variables {
            let Some(rest) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            let place = Place::Variable(variable.as_str().into());
            match path_of(rest, below) {
                Ok(path) => layers.push(Self::nested(&path, read(&path, text), place, findings)),
                Err(message) => findings.refuse(&place, "", message),
            }
        }
        layers
    }

    fn nested(path: &[String], value: Value, place: Place, findings: &Findings) -> Self {
        let wrap = |inner, key: &String| Value::Object(Map::from_iter([(key.clone(), inner)]));
        let document = path.iter().rev().fold(value, wrap);
        Self {
            values: normalise(document, Role::Configuration, &place, findings),
            place,
        }
    }

    /// Returns the names in a table of named things.
    fn names(&self, section: &str) -> impl Iterator<Item = &str> {
        self.values
            .get(section)
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|map| map.keys().map(String::as_str))
    }
}

/// Returns the names of a table of named things in the order in which they are first written. A merge forgets it.
pub(super) fn names_in_order(layers: &[Layer], section: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in layers.iter().flat_map(|layer| layer.names(section)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Merges the layers, later ones over earlier ones.
pub(super) fn merge(layers: &[Layer]) -> Table {
    let numbered = layers.iter().enumerate();
    let figment = numbered.fold(Figment::new(), |figment, (index, layer)| {
        figment.merge(Numbered(index, layer))
    });
    let mut profiles = figment.data().expect("every layer is a table of values");
    let merged = profiles.remove(&Profile::Default).unwrap_or_default();
    let place = |value: &Tagged| {
        let index = figment
            .get_metadata(value.tag())
            .and_then(|metadata| metadata.name.parse::<usize>().ok());
        index.map_or(Place::Default, |index| layers[index].place.clone())
    };
    let entries = merged
        .into_iter()
        .map(|(key, value)| (key, node(value, &place)))
        .collect();
    Table {
        entries,
        place: Place::Default,
    }
}

fn node(value: Tagged, place: &impl Fn(&Tagged) -> Place) -> Node {
    let here = place(&value);
    match value {
        Tagged::Dict(_, entries) => {
            let entries = entries
                .into_iter()
                .map(|(key, value)| (key, node(value, place)))
                .collect();
            Node::Table(Table { entries, place: here })
        }
        value => {
            let value = serde_json::to_value(&value).expect("what came from JSON is JSON");
            Node::Leaf(Leaf { value, place: here })
        }
    }
}

/// A layer as figment wants it. Its number is the name of its metadata, so that a value's tag leads to
/// its place.
struct Numbered<'a>(usize, &'a Layer);

impl Provider for Numbered<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.to_string())
    }

    fn data(&self) -> Result<BTreeMap<Profile, Dict>, Error> {
        let mut dict = Dict::new();
        for (key, value) in &self.1.values {
            dict.insert(key.clone(), Tagged::serialize(value)?);
        }
        Ok([(Profile::Default, dict)].into())
    }
}

/// Returns the path of the key that a variable sets.
fn path_of(rest: &str, below: &[Layer]) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = rest.split("__").collect();
    if parts.contains(&"") {
        return Err("a part of the name is empty: write `PORTCULLIS__SECTION__KEY`".to_owned());
    }
    let mut path: Vec<String> = parts
        .iter()
        .map(|part| part.to_lowercase().replace('_', "-"))
        .collect();
    if path.len() > 1 && named(&path[0]).is_some() {
        let names = below.iter().flat_map(|layer| layer.names(&path[0]));
        let meant: BTreeSet<&str> = names.filter(|name| fold(name) == fold(parts[1])).collect();
        match meant.into_iter().collect::<Vec<_>>().as_slice() {
            [] => {}
            [name] => path[1] = (*name).to_owned(),
            [one, other, ..] => {
                return Err(format!(
                    "may mean `{one}` or `{other}` of `{}`: set it in a file",
                    path[0]
                ));
            }
        }
    }
    if path.len() > 3 && path[0] == SERVERS && path[2] == "env" {
        // The rest is the name of a variable of the server's own.
        path.truncate(3);
        path.push(parts[3..].join("__"));
    }
    Ok(path)
}

/// A name without what the name of a variable cannot say.
fn fold(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// Reads a text as the value that its key takes. Tables and lists of tables are JSON.
fn read(path: &[String], text: &str) -> Value {
    match kind_of(path) {
        Some(kind) => kind.parse(text),
        None if text.trim_start().starts_with(['{', '[']) => {
            Format::Json.parse(text).unwrap_or_else(|_| text.into())
        }
        None => text.into(),
    }
}

fn kind_of(path: &[String]) -> Option<Kind> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    match *parts.as_slice() {
        [SERVERS, _, "env", _] => Some(Kind::Template),
        [SERVERS, _, "disabled"] => Some(Kind::Flag),
        [section, _, ref inside @ ..] if let Some(groups) = named(&kebab(section)) => {
            kind_inside(groups, inside)
        }
        [section, ref inside @ ..] => match SECTIONS.iter().find(|(name, _)| *name == kebab(section)) {
            Some((_, keys)) => kind_inside(&[keys], inside),
            None => kind_inside(&[TOP], &parts),
        },
        [] => None,
    }
}

fn kind_inside(groups: &[&'static [Key]], path: &[&str]) -> Option<Kind> {
    let (first, rest) = path.split_first()?;
    match (find(groups, &kebab(first))?.kind, rest) {
        (kind, []) => Some(kind),
        (Kind::Table(keys), rest) => kind_inside(&[keys], rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(place: &str, values: Value) -> Layer {
        let Value::Object(values) = values else {
            unreachable!("tests give tables")
        };
        Layer {
            place: Place::Variable(place.into()),
            values,
        }
    }

    #[test]
    fn later_layers_win_and_values_keep_their_place() {
        let merged = merge(&[
            layer(
                "a",
                json!({"t": {"x": 1, "y": [1, 2]}, "s": "old", "n": 18446744073709551615_u64}),
            ),
            layer("b", json!({"t": {"y": [3]}, "s": {"now": "a table"}, "c": "z"})),
        ]);
        assert_eq!(
            merged.value(),
            json!({"t": {"x": 1, "y": [3]}, "s": {"now": "a table"}, "n": 18446744073709551615_u64, "c": "z"})
        );
        let table = merged.table("t").expect("a table");
        assert_eq!(table.entries["x"].place(), &Place::Variable("a".into()));
        assert_eq!(table.entries["y"].place(), &Place::Variable("b".into()));
        assert_eq!(merged.entries["s"].place(), &Place::Variable("b".into()));
    }

    #[track_caller]
    fn check(variable: &str, text: &str, expect: Value) {
        let below = [layer(
            "a",
            json!({"servers": {"My_Server.2": {}}, "principals": {"Me": {}}}),
        )];
        let findings = Findings::default();
        let layers = Layer::environment(
            &[(variable.to_owned(), text.to_owned())].into(),
            &below,
            &findings,
        );
        let values: Vec<Value> = layers.into_iter().map(|layer| layer.values.into()).collect();
        assert_eq!(values, [expect], "{variable}: {:?}", findings.lines());
    }

    #[test]
    fn variables() {
        check(
            "PORTCULLIS__LISTEN",
            "127.0.0.1:0",
            json!({"listen": "127.0.0.1:0"}),
        );
        check(
            "PORTCULLIS__HTTP__BODY_MAX",
            "1KiB",
            json!({"http": {"body-max": "1KiB"}}),
        );
        check(
            "PORTCULLIS__HTTP__CONNECTIONS_MAX",
            "12",
            json!({"http": {"connections-max": 12}}),
        );
        check(
            "PORTCULLIS__ADMIN__ENABLED",
            "false",
            json!({"admin": {"enabled": false}}),
        );
        check(
            "PORTCULLIS__ADMIN__ENABLED",
            "nope",
            json!({"admin": {"enabled": "nope"}}),
        );
        check(
            "PORTCULLIS__HTTP__ALLOWED_HOSTS",
            "a, b:1",
            json!({"http": {"allowed-hosts": ["a", "b:1"]}}),
        );
        check(
            "PORTCULLIS__HTTP__ALLOWED_HOSTS",
            "",
            json!({"http": {"allowed-hosts": []}}),
        );
    }

    #[test]
    fn variables_of_named_things() {
        check(
            "PORTCULLIS__SERVERS__X__ARGS",
            r#"["a,b", "c"]"#,
            json!({"servers": {"x": {"args": ["a,b", "c"]}}}),
        );
        check(
            "PORTCULLIS__SERVERS__MY_SERVER_2__ENABLED",
            "true",
            json!({"servers": {"My_Server.2": {"enabled": true}}}),
        );
        check(
            "PORTCULLIS__SERVERS__X__ENV__MY__API_KEY",
            "12",
            json!({"servers": {"x": {"env": {"MY__API_KEY": "12"}}}}),
        );
        check(
            "PORTCULLIS__SERVERS__X__ENV",
            r#"{"A_b": "c"}"#,
            json!({"servers": {"x": {"env": {"A_b": "c"}}}}),
        );
        check(
            "PORTCULLIS__SERVERS__X",
            r#"{"command": "y", "displayName": "Y"}"#,
            json!({"servers": {"x": {"command": "y", "display-name": "Y"}}}),
        );
        check(
            "PORTCULLIS__SERVERS",
            r#"[{"name": "x"}]"#,
            json!({"servers": {"x": {}}}),
        );
        check(
            "PORTCULLIS__SERVERS__X__DISABLED",
            "true",
            json!({"servers": {"x": {"enabled": false}}}),
        );
        check(
            "PORTCULLIS__PRINCIPALS__ME__TOKEN",
            "true",
            json!({"principals": {"Me": {"token": "true"}}}),
        );
        check("PORTCULLIS__ODD__KEY", "{", json!({"odd": {"key": "{"}}));
    }

    #[test]
    fn a_variable_that_may_mean_two_things_is_refused() {
        let below = [
            layer("a", json!({"servers": {"a-b": {}}})),
            layer("b", json!({"servers": {"a-b": {}, "A_b": {}}})),
        ];
        let findings = Findings::default();
        let variables = [("PORTCULLIS__SERVERS__A_B__ENABLED".to_owned(), "true".to_owned())];
        assert!(Layer::environment(&variables.into(), &below, &findings).is_empty());
        assert_eq!(
            findings.lines(),
            [
                "variable PORTCULLIS__SERVERS__A_B__ENABLED: may mean `A_b` or `a-b` of `servers`: set it in a file"
            ]
        );
    }

    #[test]
    fn variables_with_empty_parts_are_refused() {
        let findings = Findings::default();
        let variables = ["PORTCULLIS__", "PORTCULLIS__HTTP__", "PORTCULLIS_X", "OTHER"]
            .map(|name| (name.to_owned(), String::new()));
        assert!(Layer::environment(&variables.into(), &[], &findings).is_empty());
        assert_eq!(
            findings.lines(),
            ["PORTCULLIS__", "PORTCULLIS__HTTP__"].map(|name| format!(
                "variable {name}: a part of the name is empty: write `PORTCULLIS__SECTION__KEY`"
            ))
        );
    }

    #[test]
    fn flags() {
        let findings = Findings::default();
        let layer = Layer::flag("http.connectionsMax", "7", &findings);
        assert_eq!(
            (layer.place, Value::Object(layer.values)),
            (Place::Flag, json!({"http": {"connections-max": 7}}))
        );
    }
}
