//! Kinds of values: what a key of the configuration takes, how it is read and what its limits are.

use std::net::SocketAddr;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

use super::keys::Key;
use super::units::{format_duration, format_size, parse_duration, parse_size};

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds, both included.
    Count(u64, u64),
    /// A time within bounds, both included.
    Duration(Duration, Duration),
    /// A time up to a bound, or `never` (also written `0`).
    DurationOrNever(Duration),
    /// Bytes within bounds, both included.
    Size(u64, u64),
    /// Text without control characters, not empty.
    Text,
    /// One segment of a URL path.
    Segment,
    /// An address and a port.
    Address,
    /// A path of the file system.
    Path,
    /// The directives of a log filter.
    LogFilter,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of these words.
    Choices(&'static [&'static str]),
    /// A list of hosts: `host` or `host:port`.
    Hosts,
    /// A list of origins: `scheme://host` or `scheme://host:port`.
    Origins,
    /// A list of names of environment variables; a `*` at the end stands for any rest.
    VariableNames,
    /// Text in which variables expand.
    Template,
    /// A list of such texts.
    Templates,
    /// A table of such texts whose keys are names of environment variables.
    TemplateTable,
    /// A URL in which variables expand. Names, passwords and queries in it are never shown.
    Url,
    /// A table of texts in which variables expand, whose keys are names of headers. They are never shown.
    HeaderTable,
    /// Like a template, and never shown.
    Secret,
    /// A list of names of other things of the configuration.
    Names,
    /// A SHA-256 in hexadecimal.
    Digest,
    /// A list of public keys.
    PublicKeys,
    /// A list of names of HTTP headers.
    HeaderNames,
    /// A table of texts.
    TextTable,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A list of tables with these keys. A text stands for a table with only the first of them.
    Entries(&'static [Key]),
    /// A table whose meaning is somebody else's. In its texts variables expand.
    Free,
}

impl Kind {
    /// Says what is wrong with a value of this kind, apart from variables that are missing.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        match self {
            Self::Flag => flag(value).map(drop),
            Self::Count(min, max) => count(value, min, max).map(drop),
            Self::Duration(min, max) => duration(value, min, max).map(drop),
            Self::DurationOrNever(max) => duration_or_never(value, max).map(drop),
            Self::Size(min, max) => size(value, min, max).map(drop),
            Self::Text => text(value).map(drop),
            Self::Segment => segment(value).map(drop),
            Self::Address => address(value).map(drop),
            Self::Path => path(value).map(drop),
            Self::LogFilter => log_filter(value).map(drop),
            Self::Choice(names) => choice(value, names).map(drop),
            Self::Choices(names) => choices(value, names).map(drop),
            Self::Hosts => every(value, "hosts such as \"gateway.example:4100\"", host),
            Self::Origins => every(value, "origins such as \"https://app.example\"", origin),
            Self::VariableNames => every(value, "names such as \"PATH\" or \"LC_*\"", variable_pattern),
            Self::Template | Self::Url | Self::Secret => value
                .as_str()
                .map(drop)
                .ok_or_else(|| expected("text (in quotes)", true, value)),
            Self::Templates => every(value, "texts (in quotes)", |_| Ok(())),
            Self::Names => every(value, "names (in quotes)", |_| Ok(())),
            Self::Digest => digest(value).map(drop),
            Self::PublicKeys => every(value, "keys such as \"ed25519:BASE64\"", public_key),
            Self::HeaderNames => every(value, "names of headers such as \"x-tenant\"", header_name),
            // What is a table is looked into elsewhere: this is none.
            Self::TemplateTable | Self::HeaderTable | Self::TextTable => {
                Err("expected a table of texts".to_owned())
            }
            Self::Table(_) | Self::Free => Err(expected("a table", true, value)),
            Self::Entries(_) => Err(expected("a list of tables", true, value)),
        }
    }

    /// Whether a text of this kind may contain `${VAR}`.
    pub(super) fn expands(self) -> bool {
        matches!(
            self,
            Self::Template
                | Self::Templates
                | Self::TemplateTable
                | Self::Url
                | Self::HeaderTable
                | Self::Secret
                | Self::Free
        )
    }

    /// Whether the kind is a list.
    pub(super) fn is_list(self) -> bool {
        matches!(
            self,
            Self::Choices(_)
                | Self::Hosts
                | Self::Origins
                | Self::VariableNames
                | Self::Templates
                | Self::Names
                | Self::PublicKeys
                | Self::HeaderNames
        )
    }

    /// Reads what an environment variable or a flag says as the value that it means. What cannot be read
    /// stays text, and the check then says what was expected.
    pub(super) fn parse(self, text: &str) -> Value {
        let json = || serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        match self {
            Self::Flag | Self::Count(..) => json(),
            Self::TemplateTable | Self::HeaderTable | Self::TextTable => json(),
            Self::Table(_) | Self::Entries(_) | Self::Free => json(),
            _ if self.is_list() && text.trim_start().starts_with('[') => json(),
            _ if self.is_list() && text.trim().is_empty() => Value::Array(Vec::new()),
            _ if self.is_list() => text.split(',').map(|part| Value::from(part.trim())).collect(),
            _ => Value::from(text),
        }
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| expected("`true` or `false`", false, value))
}

pub(super) fn count(value: &Value, min: u64, max: u64) -> Result<u64, String> {
    let expectation = || format!("a whole number from {min} to {max}");
    value
        .as_u64()
        .filter(|count| (min..=max).contains(count))
        .ok_or_else(|| expected(&expectation(), false, value))
}

pub(super) fn duration(value: &Value, min: Duration, max: Duration) -> Result<Duration, String> {
    let expectation = || {
        format!(
            "a time such as \"10s\", from {} to {}",
            format_duration(min),
            format_duration(max)
        )
    };
    any_duration(value)
        .filter(|duration| (min..=max).contains(duration))
        .ok_or_else(|| expected(&expectation(), false, value))
}

/// Reads a time, or `never` and `0` as `None`.
pub(super) fn duration_or_never(value: &Value, max: Duration) -> Result<Option<Duration>, String> {
    let read = match value.as_str() {
        Some("never") => Some(Duration::ZERO),
        _ => any_duration(value),
    };
    let expectation = || {
        format!(
            "a time such as \"10m\" up to {}, or \"never\"",
            format_duration(max)
        )
    };
    let read = read
        .filter(|duration| *duration <= max)
        .ok_or_else(|| expected(&expectation(), false, value))?;
    Ok((!read.is_zero()).then_some(read))
}

fn any_duration(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => parse_duration(text),
        Value::Number(number) => match number.as_u64() {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => Duration::try_from_secs_f64(number.as_f64()?).ok(),
        },
        _ => None,
    }
}

pub(super) fn size(value: &Value, min: u64, max: u64) -> Result<u64, String> {
    let read = value.as_u64().or_else(|| value.as_str().and_then(parse_size));
    let expectation = || {
        format!(
            "a size such as \"16MiB\", from {} to {}",
            format_size(min),
            format_size(max)
        )
    };
    read.filter(|size| (min..=max).contains(size))
        .ok_or_else(|| expected(&expectation(), false, value))
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    let text = value.as_str().ok_or_else(|| expected("text", false, value))?;
    match text {
        _ if text.trim().is_empty() => Err("must not be empty".to_owned()),
        _ if text.chars().any(char::is_control) => Err("must not contain control characters".to_owned()),
        _ => Ok(text),
    }
}

pub(super) fn segment(value: &Value) -> Result<&str, String> {
    let segment = text(value)?;
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._~-".contains(character);
    if !segment.chars().all(is_plain) || segment.chars().all(|character| character == '.') {
        return Err(format!(
            "{value} is not one segment of a URL: use letters, digits, `.`, `_`, `~` and `-`, and not dots alone"
        ));
    }
    Ok(segment)
}

pub(super) fn address(value: &Value) -> Result<SocketAddr, String> {
    let read = value.as_str().and_then(|text| text.parse().ok());
    read.ok_or_else(|| {
        expected(
            "an address and a port such as \"127.0.0.1:4100\" or \"[::1]:4100\"",
            false,
            value,
        )
    })
}

pub(super) fn path(value: &Value) -> Result<&str, String> {
    let path = text(value)?;
    if path == "~" || path.starts_with("~/") {
        return Err("`~` is not expanded: write the whole path".to_owned());
    }
    Ok(path)
}

pub(super) fn log_filter(value: &Value) -> Result<&str, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let filter = text(value)?;
    let refusal = || {
        format!(
            "{value} is not a log filter: use a level ({}) or directives such as \"info,portcullis=debug\"",
            LEVELS.join(", ")
        )
    };
    for directive in filter.split(',').map(str::trim) {
        let is_word = directive.chars().all(char::is_alphanumeric);
        if is_word && !LEVELS.contains(&directive.to_ascii_lowercase().as_str()) {
            return Err(refusal());
        }
    }
    let parsed = tracing_subscriber::EnvFilter::builder().parse(filter);
    parsed.map(|_| filter).map_err(|_| refusal())
}

pub(super) fn choice(value: &Value, names: &[&str]) -> Result<usize, String> {
    let position = value
        .as_str()
        .and_then(|text| names.iter().position(|name| *name == text));
    position.ok_or_else(|| expected(&alternatives(names), false, value))
}

pub(super) fn choices(value: &Value, names: &[&str]) -> Result<Vec<usize>, String> {
    let list = value
        .as_array()
        .ok_or_else(|| expected(&format!("a list of {}", alternatives(names)), false, value))?;
    list.iter().map(|entry| choice(entry, names)).collect()
}

fn alternatives(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    quoted.join(" or ")
}

/// Holds each text of a list to a rule.
fn every(value: &Value, what: &str, rule: fn(&str) -> Result<(), String>) -> Result<(), String> {
    let refusal = || expected(&format!("a list of {what}"), true, value);
    for entry in value.as_array().ok_or_else(refusal)? {
        rule(entry.as_str().ok_or_else(refusal)?)?;
    }
    Ok(())
}

fn host(text: &str) -> Result<(), String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && (!name.contains(':') || name.ends_with(']')) => {
            (name, Some(port))
        }
        _ => (text, None),
    };
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let is_name = !name.is_empty() && name.chars().all(is_plain);
    let is_v6 = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if (is_name || is_v6) && is_port {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a host: write `host` or `host:port`, without scheme, path or `*`"
    ))
}

fn origin(text: &str) -> Result<(), String> {
    let refusal = || {
        format!(
            "{text:?} is not an origin: write `scheme://host` or `scheme://host:port`, without path or `*`"
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(refusal)?;
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "+.-".contains(character);
    if scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(is_plain)
        && host(rest).is_ok()
    {
        return Ok(());
    }
    Err(refusal())
}

fn variable_pattern(text: &str) -> Result<(), String> {
    let name = text.strip_suffix('*').unwrap_or(text);
    if text.is_empty() || name.contains(['*', '=', '\0']) {
        return Err(format!(
            "{text:?} is not the name of a variable: write `NAME`, or `PREFIX*` for all that start so"
        ));
    }
    Ok(())
}

fn digest(value: &Value) -> Result<&str, String> {
    let digest = text(value)?;
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(digest);
    }
    Err("is not a SHA-256: write the 64 hexadecimal digits that `sha256sum plugin.wasm` prints".to_owned())
}

/// What a public key begins with: its kind.
pub(super) const ED25519: &str = "ed25519:";

fn public_key(text: &str) -> Result<(), String> {
    let bytes = text
        .strip_prefix(ED25519)
        .and_then(|key| BASE64_STANDARD.decode(key).ok());
    match bytes {
        Some(bytes) if bytes.len() == 32 => Ok(()),
        _ => Err(format!(
            "{text:?} is not a public key: write \"{ED25519}\" and its 32 bytes as base64"
        )),
    }
}

pub(super) fn header_name(text: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_token) {
        true => Ok(()),
        false => Err(format!("{text:?} is not the name of a header")),
    }
}

/// Says what was expected, and what was found unless it may be secret.
fn expected(expectation: &str, hidden: bool, found: &Value) -> String {
    let found = match found {
        Value::Null => "nothing".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) if hidden => "text".to_owned(),
        _ if hidden => "something else".to_owned(),
        other => other.to_string(),
    };
    format!("expected {expectation}, found {found}")
}
