//! A document of TOML, JSON or YAML as one JSON value. A key that is written twice is refused, and an
//! error never quotes the document, for it may hold secrets.

use std::fmt;
use std::path::Path;

use figment::providers::{Format as _, Json, Toml, Yaml};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The formats a configuration can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Json,
    Yaml,
}

impl Format {
    /// The extensions that are looked for, in this order.
    pub(super) const EXTENSIONS: [&'static str; 4] = ["toml", "json", "yaml", "yml"];

    /// Returns the format that a file's extension names.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Reads a document. An empty one is `null`.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        let unique = match self {
            Self::Toml => Toml::from_str::<Unique>(text).map_err(|error| {
                let position = error.span().map(|span| position(text, span.start));
                format!("not TOML: {}{}", error.message(), position.unwrap_or_default())
            }),
            Self::Json => Json::from_str::<Unique>(text).map_err(|error| format!("not JSON: {error}")),
            Self::Yaml => Yaml::from_str::<Unique>(text).map_err(|error| {
                let position = error
                    .location()
                    .map(|at| format!(" at line {} column {}", at.line(), at.column()));
                // The parser's own words may quote the document; ours about keys do not.
                let reason = error.to_string();
                let reason = reason
                    .find(TWICE)
                    .map(|start| reason[start..].split(" at line").next().unwrap_or(TWICE));
                format!(
                    "not YAML{}{}",
                    reason.map(|text| format!(": {text}")).unwrap_or_default(),
                    position.unwrap_or_default()
                )
            }),
        };
        unique.map(|unique| unique.0)
    }
}

const TWICE: &str = "a key is written twice";

/// Says in which line and column a byte is.
fn position(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!(" at line {line} column {column}")
}

/// A value in which no table has a key twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value with text as keys")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Unique, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number must be finite"))?;
        Ok(Unique(number.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Unique, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Unique, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Unique(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unique, A::Error> {
        let mut map = Map::new();
        while let Some((key, Unique(value))) = entries.next_entry::<String, Unique>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format_args!("{TWICE}: `{key}`")));
            }
            map.insert(key, value);
        }
        Ok(Unique(map.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(format: Format, text: &str, expect: Result<Value, &str>) {
        assert_eq!(format.parse(text), expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn three_formats_say_the_same() {
        let value = json!({"http": {"body-max": 5, "allowed-hosts": ["a"]}, "x": true, "y": -1, "z": 0.5});
        check(
            Format::Toml,
            "x = true\ny = -1\nz = 0.5\n[http]\nbody-max = 5\nallowed-hosts = ['a']",
            Ok(value.clone()),
        );
        check(
            Format::Yaml,
            "x: true\ny: -1\nz: 0.5\nhttp:\n  body-max: 5\n  allowed-hosts: [a]",
            Ok(value.clone()),
        );
        check(Format::Json, &format!("\u{feff}{value}"), Ok(value));
        for format in [Format::Toml, Format::Json, Format::Yaml] {
            check(format, " \n", Ok(Value::Null));
        }
    }

    #[test]
    fn what_is_written_twice_is_refused() {
        check(
            Format::Json,
            r#"{"a": {"b": 1, "b": 2}}"#,
            Err("not JSON: a key is written twice: `b` at line 1 column 22"),
        );
        check(
            Format::Toml,
            "[a]\nb = 1\nb = 'secret'",
            Err("not TOML: duplicate key `b` in table `a` at line 3 column 1"),
        );
        check(
            Format::Yaml,
            "a:\n  b: 1\n  b: 2\n",
            Err("not YAML: a key is written twice: `b` at line 2 column 3"),
        );
    }

    #[test]
    fn errors_do_not_quote_the_document() {
        let wrong = [
            (Format::Toml, "token = 'secret"),
            (Format::Json, r#"{"token": "secret}"#),
            (Format::Yaml, "token: 'secret"),
            (Format::Yaml, "[1, &secret"),
            (Format::Yaml, "*secret"),
            (Format::Toml, "secret"),
            (Format::Json, "secret"),
        ];
        for (format, text) in wrong {
            let error = format.parse(text).expect_err("broken");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        check(
            Format::Toml,
            "a = nan",
            Err("not TOML: a number must be finite at line 1 column 5"),
        );
        check(Format::Yaml, "1: a", Ok(json!({"1": "a"})));
        assert!(Format::Yaml.parse("[1]: a").is_err());
        assert!(Format::Json.parse(&"[".repeat(10_000)).is_err());
        assert!(Format::Yaml.parse(&"[".repeat(10_000)).is_err());
        assert!(
            Format::Toml
                .parse(&format!("a = {}", "[".repeat(10_000)))
                .is_err()
        );
    }

    #[test]
    fn extensions() {
        for (path, expect) in [
            ("a.toml", Some(Format::Toml)),
            ("a.JSON", Some(Format::Json)),
            ("a.yaml", Some(Format::Yaml)),
            ("a.yml", Some(Format::Yaml)),
            ("a.txt", None),
            ("toml", None),
        ] {
            assert_eq!(Format::of(Path::new(path)), expect, "{path}");
        }
    }
}
