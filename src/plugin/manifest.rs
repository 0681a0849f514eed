//! `plugin.toml`: what a plugin's author says of it. Plain data; what the operator decides stands elsewhere.
//!
//! An unknown key is an error: a misspelt hook would otherwise be a policy that is never asked.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::case::Case;
use super::pattern::MethodPattern;

/// The file's name in the folder of a plugin.
pub const MANIFEST_FILE: &str = "plugin.toml";
/// A longer manifest is not read, in bytes.
pub const MANIFEST_MAX: u64 = 1024 * 1024;
/// Longest name of a plugin, in bytes.
const NAME_MAX: usize = 64;
/// Longest version and description, in bytes: both stand in every list of plugins.
const VERSION_MAX: usize = 64;
const DESCRIPTION_MAX: usize = 1024;

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// It is not there, or cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is longer than [`MANIFEST_MAX`].
    #[error("{path} has more than {MANIFEST_MAX} bytes", path = .0.display())]
    TooLong(PathBuf),
    /// It is no TOML, or has keys or values that no manifest has.
    #[error("{path}: {message}", path = .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The place, its line, and what was expected there.
        message: String,
    },
    /// It reads well but makes no sense.
    #[error("{path}: {problems}", path = .path.display(), problems = .problems.join("; "))]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong and what to do about it, each with its key.
        problems: Vec<String>,
    },
}

/// A plugin's manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// What it is called.
    pub plugin: Identity,
    /// What it wants to be asked.
    pub hooks: Hooks,
    /// What it would like to be granted.
    #[serde(default)]
    pub requests: Requests,
    /// What its configuration looks like.
    #[serde(default)]
    pub config: ConfigurationShape,
    /// How it is built; only the author's tools read this.
    pub build: Option<Build>,
    /// What it must decide before it is let in.
    #[serde(default)]
    pub smoke: Vec<Case>,
}

/// What a plugin is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Identity {
    /// `[a-z0-9-]`, the name of its folder.
    pub name: String,
    /// The author's version.
    pub version: String,
    /// One sentence.
    #[serde(default)]
    pub description: String,
}

/// What a plugin wants to be asked: a subset of what its component exports. A hook without an entry is not called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hooks {
    /// Message validation.
    pub on_message: Option<Subscription>,
    /// Access.
    pub access: Option<Subscription>,
    /// Routing policy.
    pub routing: Option<Subscription>,
}

impl Hooks {
    /// Returns the hooks that have an entry, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &Subscription)> {
        [
            ("on-message", &self.on_message),
            ("access", &self.access),
            ("routing", &self.routing),
        ]
        .into_iter()
        .filter_map(|(name, subscription)| Some((name, subscription.as_ref()?)))
    }
}

/// Which messages a hook is asked about. Others do not enter the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Subscription {
    /// Of these methods; an answer counts as of its request's.
    pub methods: Vec<MethodPattern>,
    /// Going these ways; absent: both.
    pub directions: Option<Vec<Direction>>,
    /// Of these kinds; absent: all.
    pub kinds: Option<Vec<MessageKind>>,
}

impl Subscription {
    /// Tells whether a message is one of these.
    pub fn wants(&self, method: &str, direction: Direction, kind: MessageKind) -> bool {
        let is_direction = |wanted: &Vec<Direction>| wanted.contains(&direction);
        let is_kind = |wanted: &Vec<MessageKind>| wanted.contains(&kind);
        self.directions.as_ref().is_none_or(is_direction)
            && self.kinds.as_ref().is_none_or(is_kind)
            && self.methods.iter().any(|pattern| pattern.matches(method))
    }
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From the client.
    #[default]
    ClientToServer,
    /// To the client.
    ServerToClient,
}

/// What a message is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// Wants an answer.
    #[default]
    Request,
    /// Wants none.
    Notification,
    /// An answer with a result.
    Response,
    /// An answer with an error.
    ErrorResponse,
}

/// What a plugin would like to be granted. The operator decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Requests {
    /// The key-value store.
    pub kv: Option<KvRequest>,
    /// HTTP requests.
    pub http: Option<HttpRequest>,
    /// Random numbers.
    pub random: bool,
    /// JSON Schema validation.
    pub schema: bool,
    /// Names of request headers, in lower case, that it wants to see as attributes `header.<name>`.
    pub headers: Vec<String>,
}

impl Requests {
    /// Tells whether the grant for an interface is asked for.
    pub fn asks_for(&self, interface: &str) -> bool {
        match interface {
            "kv" => self.kv.is_some(),
            "http" => self.http.is_some(),
            "random" => self.random,
            "schema" => self.schema,
            _ => false,
        }
    }
}

/// How much of the key-value store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KvRequest {
    /// Size of all keys and values, in KiB.
    pub max_kib: u32,
}

/// Which hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HttpRequest {
    /// Each with its port: `policy.example.com:443`.
    pub hosts: Vec<String>,
}

/// What the configuration of a plugin looks like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ConfigurationShape {
    /// Parts of the gateway's configuration that are put into the plugin's under the same key.
    pub receives: Vec<String>,
    /// JSON Schema of the whole, checked before `init`.
    pub schema: Option<Map<String, Value>>,
}

/// How a plugin is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    /// In which language it is written.
    pub lang: Language,
}

/// A language that plugins are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// For `wasm32-unknown-unknown`.
    Rust,
    /// JavaScript, in QuickJS.
    Js,
    /// CPython.
    Python,
    /// C.
    C,
}

impl Manifest {
    /// Reads the manifest of a plugin's folder.
    ///
    /// # Errors
    /// It cannot be read or used.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        use std::io::Read as _;
        let path = folder.join(MANIFEST_FILE);
        let unreadable = |source| ManifestError::Unreadable {
            path: path.clone(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(unreadable)?;
        file.take(MANIFEST_MAX + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::parse(&path, &text)
    }

    /// Reads a manifest from its text. The path is for messages.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ManifestError> {
        let path = path.to_owned();
        if text.len() as u64 > MANIFEST_MAX {
            return Err(ManifestError::TooLong(path));
        }
        let manifest: Self = match toml::from_str(text) {
            Ok(manifest) => manifest,
            Err(error) => {
                let message = error.to_string();
                return Err(ManifestError::Malformed { path, message });
            }
        };
        let problems = manifest.problems();
        if problems.is_empty() {
            Ok(manifest)
        } else {
            Err(ManifestError::Wrong { path, problems })
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let name = &self.plugin.name;
        if !is_name(name) {
            problems.push(format!(
                "plugin.name: \"{name}\" is no name: use a to z, 0 to 9 and \"-\", at most {NAME_MAX}, beginning with a letter"
            ));
        }
        for (key, text, max) in [
            ("version", &self.plugin.version, VERSION_MAX),
            ("description", &self.plugin.description, DESCRIPTION_MAX),
        ] {
            if text.len() > max || text.contains(char::is_control) {
                problems.push(format!("plugin.{key}: it is one line of at most {max} bytes"));
            }
        }
        if self.hooks.entries().next().is_none() {
            problems.push(
                "hooks: it wants to be asked nothing: add on-message, access or routing, such as `access = { methods = \
                 [\"*\"] }`"
                    .to_owned(),
            );
        }
        for (hook, subscription) in self.hooks.entries() {
            let is_empty = subscription.methods.is_empty()
                || subscription.directions.as_ref().is_some_and(Vec::is_empty)
                || subscription.kinds.as_ref().is_some_and(Vec::is_empty);
            if is_empty {
                problems.push(format!(
                    "hooks.{hook}: an empty list fits nothing: name something, or leave the key out for all"
                ));
            }
        }
        for header in &self.requests.headers {
            if header.is_empty()
                || !header
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            {
                problems.push(format!(
                    "requests.headers: \"{header}\" is no name of a header in lower case"
                ));
            }
        }
        for case in &self.smoke {
            problems.extend(
                case.problems()
                    .into_iter()
                    .map(|problem| format!("smoke: {problem}")),
            );
        }
        problems
    }
}

/// Tells whether a text can be the name of a plugin.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= NAME_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "[plugin]\nname = \"p\"\nversion = \"1\"\n[hooks]\naccess = { methods = [\"*\"] }\n";

    fn refusal(text: &str) -> String {
        let refused = Manifest::parse(Path::new("plugins/p/plugin.toml"), text);
        refused.expect_err("refused").to_string()
    }

    #[test]
    fn the_least_manifest_asks_for_nothing() {
        let manifest = Manifest::parse(Path::new("plugin.toml"), LEAST).expect("a manifest");
        assert_eq!(manifest.requests, Requests::default());
        let hooks: Vec<_> = manifest.hooks.entries().map(|(name, _)| name).collect();
        assert_eq!(hooks, ["access"]);
    }

    #[test]
    fn subscriptions_fit_by_method_direction_and_kind() {
        let text = LEAST.replace(
            "\"*\"] }",
            "\"tools/*\"], directions = [\"client-to-server\"], kinds = [\"request\"] }",
        );
        let manifest = Manifest::parse(Path::new("plugin.toml"), &text).expect("a manifest");
        let access = manifest.hooks.access.expect("it has access");
        let (out, back) = (Direction::ClientToServer, Direction::ServerToClient);
        assert!(access.wants("tools/call", out, MessageKind::Request));
        assert!(!access.wants("tools/call", out, MessageKind::Notification));
        assert!(!access.wants("tools/call", back, MessageKind::Request));
        assert!(!access.wants("prompts/get", out, MessageKind::Request));
    }

    #[test]
    fn what_is_wrong_is_told_with_file_place_and_remedy() {
        for (wrong, said) in [
            (
                LEAST.replace("access", "acess"),
                "unknown field `acess`, expected one of",
            ),
            (LEAST.replace("\"*\"", "\"a*b\""), "is no pattern for methods"),
            (
                LEAST.replace("\"*\"", ""),
                "hooks.access: an empty list fits nothing",
            ),
            (
                LEAST.replace("\"p\"", "\"P p\""),
                "plugin.name: \"P p\" is no name",
            ),
            (
                LEAST.replace("\"1\"", &format!("{:?}", "1".repeat(65))),
                "plugin.version: it is one line of at most 64 bytes",
            ),
            (
                LEAST.replace("[hooks]", "description = \"a\\nb\"\n[hooks]"),
                "plugin.description: it is one line",
            ),
            (
                LEAST.replace("access = { methods = [\"*\"] }", ""),
                "add on-message, access or routing",
            ),
            (
                format!("{LEAST}[requests]\nheaders = [\"X-Tenant\"]"),
                "lower case",
            ),
            (
                format!("{LEAST}[build]\nlang = \"go\""),
                "expected one of `rust`, `js`",
            ),
            (
                format!("{LEAST}[[smoke]]\nname = \"s\"\nhook = \"filter\"\nexpect = [0]"),
                "smoke: \"s\": no method",
            ),
            ("x".repeat(2 << 20), "more than"),
        ] {
            let refusal = refusal(&wrong);
            assert!(refusal.starts_with("plugins/p/plugin.toml"), "{refusal}");
            assert!(refusal.contains(said), "{said}: {refusal}");
        }
        let place = refusal(&LEAST.replace("access", "acess"));
        assert!(place.contains("line 5"), "{place}");
    }

    #[test]
    fn names_are_those_of_folders() {
        for (name, expected) in [
            ("a", true),
            ("path-guard-2", true),
            ("", false),
            ("2a", false),
            ("-a", false),
            ("a/b", false),
            ("..", false),
            ("A", false),
        ] {
            assert_eq!(is_name(name), expected, "{name}");
        }
        assert!(is_name(&"a".repeat(NAME_MAX)) && !is_name(&"a".repeat(NAME_MAX + 1)));
    }
}
