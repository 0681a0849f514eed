//! One spelling for every document: arrays of named things become tables keyed by name, camelCase and
//! `_` become kebab-case, the aliases of other clients' files get our names. It happens before layers are
//! merged, because a merge replaces arrays and does not know that two spellings are one key. What it does
//! not understand it leaves for the check.

use serde_json::{Map, Value};

use super::keys::{Key, MODES, SECTIONS, SERVERS, TOP, find, named};
use super::kind::Kind;
use super::server_keys::{ALIASES, FOREIGN, HTTP_URL, SERVER, describe_server};
use super::violation::{Findings, Place};

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A whole configuration.
    Configuration,
    /// A file of `servers.d`, which holds servers alone.
    Servers,
}

/// What a `null` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Null {
    /// The key is not set.
    Absent,
    /// The key is to be removed (a merge patch).
    Kept,
}

/// Normalises a document.
pub(super) fn normalise(
    document: Value,
    role: Role,
    place: &Place,
    findings: &Findings,
) -> Map<String, Value> {
    let normaliser = Normaliser {
        place,
        null: Null::Absent,
        findings,
    };
    normaliser.document(document, role)
}

/// Normalises the keys of one server. The names of its environment variables stay as they are.
pub(super) fn normalise_server(
    server: Map<String, Value>,
    null: Null,
    place: &Place,
    findings: &Findings,
) -> Map<String, Value> {
    let normaliser = Normaliser {
        place,
        null,
        findings,
    };
    normaliser.server(server, "")
}

/// Writes a key as `kebab-case`: `displayName`, `display_name` and `DisplayName` are `display-name`.
pub(super) fn kebab(key: &str) -> String {
    let mut kebab = String::with_capacity(key.len() + 4);
    let mut previous_is_small = false;
    for character in key.chars() {
        if character.is_uppercase() && previous_is_small {
            kebab.push('-');
        }
        previous_is_small = character.is_lowercase() || character.is_ascii_digit();
        match character {
            '_' => kebab.push('-'),
            character => kebab.extend(character.to_lowercase()),
        }
    }
    kebab
}

/// Joins the path of a table and a key.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// What is the same for every table of a document.
struct Normaliser<'a> {
    place: &'a Place,
    null: Null,
    findings: &'a Findings,
}

impl Normaliser<'_> {
    fn refuse(&self, key: impl Into<String>, message: impl Into<String>) {
        self.findings.refuse(self.place, key, message);
    }

    fn document(&self, document: Value, role: Role) -> Map<String, Value> {
        let document = match document {
            Value::Null => return Map::new(),
            Value::Array(_) => Map::from_iter([(SERVERS.to_owned(), document)]),
            Value::Object(map) if is_one_server(&map) => {
                Map::from_iter([(SERVERS.to_owned(), Value::Array(vec![map.into()]))])
            }
            Value::Object(map) => map,
            _ => {
                self.refuse("", "expected a table of settings");
                return Map::new();
            }
        };
        let mut normal = self.rename(document, &[TOP], "");
        for (key, value) in &mut normal {
            if role == Role::Servers && key != SERVERS {
                self.refuse(
                    key.as_str(),
                    "a file of `servers.d` holds servers alone: move it to the main file",
                );
            }
            let taken = std::mem::take(value);
            *value = match key.as_str() {
                SERVERS => self.named(taken, SERVERS, |map, path| self.server(map, path)),
                MODES => self.named(taken, MODES, |map, _| map),
                section => match named(section) {
                    Some(groups) => self.named(taken, section, |map, path| self.rename(map, groups, path)),
                    None => self.section(taken, section),
                },
            };
        }
        if role == Role::Servers {
            normal.retain(|key, _| key == SERVERS);
        }
        normal
    }

    fn section(&self, value: Value, section: &str) -> Value {
        let known = SECTIONS.iter().find(|(name, _)| *name == section);
        match (value, known) {
            (Value::Object(map), Some((_, keys))) => self.rename(map, &[keys], section).into(),
            (value, _) => value,
        }
    }

    fn server(&self, mut server: Map<String, Value>, path: &str) -> Map<String, Value> {
        let http_url = server
            .iter()
            .any(|(key, value)| kebab(key) == kebab(HTTP_URL) && !value.is_null());
        if http_url && !server.contains_key("type") {
            server.insert("type".to_owned(), "http".into());
        }
        let mut normal = self.rename(server, &SERVER, path);
        if let Some(Value::String(transport)) = normal.get_mut("type") {
            *transport = kebab(transport);
        }
        for table in ["env", "headers"] {
            if let Some(Value::Object(texts)) = normal.get_mut(table)
                && self.null == Null::Absent
            {
                texts.retain(|_, value| !value.is_null());
            }
        }
        if let Some(disabled) = normal.shift_remove("disabled") {
            let key = join(path, "disabled");
            if normal.contains_key("enabled") {
                self.refuse(key.as_str(), "`enabled` says the same: remove one of the two");
            }
            match disabled {
                Value::Bool(disabled) => drop(normal.insert("enabled".to_owned(), Value::Bool(!disabled))),
                Value::Null => drop(normal.insert("enabled".to_owned(), Value::Null)),
                _ => self.refuse(key, "expected `true` or `false`"),
            }
        }
        normal
    }

    /// Makes a table keyed by name of a list of things with a `name`, or of such a table; then normalises
    /// each thing.
    fn named(
        &self,
        value: Value,
        section: &str,
        normalise_one: impl Fn(Map<String, Value>, &str) -> Map<String, Value>,
    ) -> Value {
        let entries: Vec<(String, Value)> = match value {
            Value::Array(list) => list
                .into_iter()
                .enumerate()
                .filter_map(|(index, entry)| self.with_name(entry, &format!("{section}[{index}]")))
                .collect(),
            Value::Object(map) => map.into_iter().filter(|(_, entry)| !entry.is_null()).collect(),
            other => return other,
        };
        let mut table = Map::new();
        for (name, entry) in entries {
            let path = join(section, &name);
            let entry = match entry {
                Value::Object(map) => normalise_one(self.without_name(map, &name, &path), &path).into(),
                other => other,
            };
            if table.insert(name, entry).is_some() {
                self.refuse(path, "the name is given twice: rename one of the two");
            }
        }
        Value::Object(table)
    }

    /// Returns an entry of a list with its name.
    fn with_name(&self, entry: Value, path: &str) -> Option<(String, Value)> {
        let Value::Object(map) = &entry else {
            self.refuse(path, "expected a table with a `name`");
            return None;
        };
        let name = map.iter().find(|(key, _)| kebab(key) == "name");
        match name.and_then(|(_, name)| name.as_str()) {
            Some(name) => Some((name.to_owned(), entry)),
            None => {
                self.refuse(
                    path,
                    "an entry of a list needs a `name`: add it, or use a table keyed by name",
                );
                None
            }
        }
    }

    /// Takes the name out of a thing that is keyed by it.
    fn without_name(&self, mut map: Map<String, Value>, name: &str, path: &str) -> Map<String, Value> {
        let key = map.keys().find(|key| kebab(key) == "name").cloned();
        if let Some(inner) = key.and_then(|key| map.shift_remove(&key))
            && inner.as_str() != Some(name)
        {
            let message = format!("differs from the key `{name}` of its table: remove it");
            self.refuse(join(path, "name"), message);
        }
        map
    }

    /// Gives every known key of a table its one spelling; unknown ones stay as they are written.
    fn rename(&self, map: Map<String, Value>, groups: &[&'static [Key]], path: &str) -> Map<String, Value> {
        let mut renamed = Map::new();
        for (key, value) in map {
            if value.is_null() && self.null == Null::Absent {
                continue;
            }
            let name = spelling(&key, groups);
            let value = match find(groups, &name) {
                Some(known) => self.inside(value, known.kind, &join(path, &name)),
                None => value,
            };
            if renamed.insert(name.clone(), value).is_some() {
                let message = format!("written twice, once as `{key}`: remove one of the two");
                self.refuse(join(path, &name), message);
            }
        }
        renamed
    }

    /// Normalises what a value holds, where its kind says what that is.
    fn inside(&self, value: Value, kind: Kind, path: &str) -> Value {
        match (kind, value) {
            (Kind::Table(keys), Value::Object(map)) => self.rename(map, &[keys], path).into(),
            (Kind::Entries(keys), Value::Array(list)) => {
                let entry = |(index, value)| match value {
                    Value::Object(map) => self.rename(map, &[keys], &format!("{path}[{index}]")).into(),
                    text @ Value::String(_) => Map::from_iter([(keys[0].name.to_owned(), text)]).into(),
                    other => other,
                };
                list.into_iter().enumerate().map(entry).collect()
            }
            (_, value) => value,
        }
    }
}

/// Returns the one spelling of a key, if the table knows it.
fn spelling(key: &str, groups: &[&'static [Key]]) -> String {
    let is_root = find(groups, "state-dir").is_some();
    let alias = |(alias, _): &&(&str, &str)| kebab(alias) == kebab(key);
    if describe_server(groups)
        && let Some((_, name)) = ALIASES.iter().find(alias)
    {
        return (*name).to_owned();
    }
    let spelled = if is_root { root_key(key) } else { kebab(key) };
    let is_section =
        is_root && (named(&spelled).is_some() || SECTIONS.iter().any(|(name, _)| *name == spelled));
    let is_foreign = describe_server(groups)
        && (spelled == "disabled" || FOREIGN.iter().any(|(name, _)| *name == spelled));
    match is_section || is_foreign || find(groups, &spelled).is_some() {
        true => spelled,
        false => key.to_owned(),
    }
}

/// A file can be one server, as in other clients' directories.
fn is_one_server(map: &Map<String, Value>) -> bool {
    let has = |wanted: &str| map.keys().any(|key| root_key(key) == wanted);
    (has("command") || has("url") || has("server-url") || has("http-url")) && !has(SERVERS)
}

fn root_key(key: &str) -> String {
    match kebab(key) {
        alias if alias == "mcp-servers" => SERVERS.to_owned(),
        key => key,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(document: Value, expect: Value, violations: &[&str]) {
        let findings = Findings::default();
        let normal = normalise(document, Role::Configuration, &Place::Request, &findings);
        assert_eq!(Value::Object(normal), expect);
        assert_eq!(findings.lines(), violations);
    }

    #[test]
    fn spellings() {
        for (key, expect) in [
            ("displayName", "display-name"),
            ("display_name", "display-name"),
            ("DisplayName", "display-name"),
            ("display-name", "display-name"),
            ("idleTimeoutMS", "idle-timeout-ms"),
            ("", ""),
            ("_", "-"),
            ("ÄÖ", "äö"),
        ] {
            assert_eq!(kebab(key), expect, "{key}");
        }
    }

    #[test]
    fn shapes_of_servers() {
        let expect = json!({"servers": {"a": {"command": "x", "display-name": "A"}}});
        check(
            json!({"name": "a", "command": "x", "displayName": "A"}),
            expect.clone(),
            &[],
        );
        check(
            json!([{"name": "a", "command": "x", "display_name": "A"}]),
            expect.clone(),
            &[],
        );
        check(
            json!({"servers": [{"name": "a", "command": "x", "displayName": "A"}]}),
            expect.clone(),
            &[],
        );
        check(
            json!({"servers": {"a": {"command": "x", "displayName": "A"}}}),
            expect.clone(),
            &[],
        );
        check(
            json!({"servers": {"a": {"Name": "a", "command": "x", "displayName": "A"}}}),
            expect.clone(),
            &[],
        );
        check(
            json!({"mcpServers": {"a": {"command": "x", "displayName": "A", "cwd": null}}}),
            expect,
            &[],
        );
        check(
            json!({"servers": {"a": {"command": "x", "disabled": true}}}),
            json!({"servers": {"a": {"command": "x", "enabled": false}}}),
            &[],
        );
        check(Value::Null, json!({}), &[]);
    }

    #[test]
    fn names_and_variables_keep_their_spelling() {
        let document = json!({
            "servers": {"My_Server": {"env": {"apiKey": "a", "API_KEY": "b", "gone": null}}},
            "principals": {"Its_Me": {"token": "t"}},
        });
        let expect = json!({
            "servers": {"My_Server": {"env": {"apiKey": "a", "API_KEY": "b"}}},
            "principals": {"Its_Me": {"token": "t"}},
        });
        check(document, expect, &[]);
    }

    #[test]
    fn sections_and_unknown_keys() {
        check(
            json!({"stateDir": "s", "http": {"bodyMax": 1, "body_mux": 2}, "serverDefaults": {"stopGrace": 1}, "Odd_Key": 1}),
            json!({"state-dir": "s", "http": {"body-max": 1, "body_mux": 2}, "server-defaults": {"stop-grace": 1}, "Odd_Key": 1}),
            &[],
        );
        check(
            json!({"servers": 5, "http": 5}),
            json!({"servers": 5, "http": 5}),
            &[],
        );
        check(json!({"servers": {"a": 5}}), json!({"servers": {"a": 5}}), &[]);
    }

    #[test]
    fn what_is_refused() {
        check(json!(5), json!({}), &["request: expected a table of settings"]);
        check(
            json!([5, {"command": "x"}, {"name": "a", "command": "x"}, {"name": "a", "command": "y"}]),
            json!({"servers": {"a": {"command": "y"}}}),
            &[
                "request: servers[0]: expected a table with a `name`",
                "request: servers[1]: an entry of a list needs a `name`: add it, or use a table keyed by name",
                "request: servers.a: the name is given twice: rename one of the two",
            ],
        );
        check(
            json!({"servers": {"a": {"name": "b", "disabled": "yes"}, "c": {"enabled": true, "disabled": true}}}),
            json!({"servers": {"a": {}, "c": {"enabled": false}}}),
            &[
                "request: servers.a.name: differs from the key `a` of its table: remove it",
                "request: servers.a.disabled: expected `true` or `false`",
                "request: servers.c.disabled: `enabled` says the same: remove one of the two",
            ],
        );
        check(
            json!({"http": {"bodyMax": 1, "body-max": 2}, "servers": {}, "mcpServers": {}}),
            json!({"http": {"body-max": 2}, "servers": {}}),
            &[
                "request: servers: written twice, once as `mcpServers`: remove one of the two",
                "request: http.body-max: written twice, once as `body-max`: remove one of the two",
            ],
        );
    }

    #[test]
    fn a_file_of_servers_holds_servers_alone() {
        let findings = Findings::default();
        let normal = normalise(
            json!({"servers": {}, "listen": "x"}),
            Role::Servers,
            &Place::Request,
            &findings,
        );
        assert_eq!(Value::Object(normal), json!({"servers": {}}));
        assert_eq!(
            findings.lines(),
            ["request: listen: a file of `servers.d` holds servers alone: move it to the main file"]
        );
    }
}
