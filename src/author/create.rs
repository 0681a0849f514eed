//! `plugin new`: a folder with a plugin that builds, passes its cases and can be changed into what is wanted.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::AuthorError;
use super::template::fill;
use super::{paths, wit};
use crate::plugin::manifest::{Language, MANIFEST_FILE, is_name};

/// What a new plugin is to be.
#[derive(Debug, Clone)]
pub struct Wish {
    /// `[a-z0-9-]`; the folder is called so too.
    pub name: String,
    /// Written in.
    pub language: Language,
    /// What it judges: `on-message`, `access`, `routing`. At least one.
    pub hooks: Vec<&'static str>,
    /// What it wants granted: `kv`, `http`, `random`, `schema`.
    pub grants: Vec<&'static str>,
}

/// The place of a file in the folder of a plugin, and its template.
type File = (&'static str, &'static str);

const COMMON: &[File] = &[
    (MANIFEST_FILE, include_str!("templates/common/plugin.toml")),
    ("wit/world.wit", include_str!("templates/common/world.wit")),
    ("cases/first.toml", include_str!("templates/common/cases.toml")),
    ("README.md", include_str!("templates/common/README.md")),
];

const RUST: &[File] = &[
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.template")),
    ("src/lib.rs", include_str!("templates/rust/lib.rs.template")),
    (".cargo/config.toml", include_str!("templates/rust/config.toml")),
    (".gitignore", include_str!("templates/rust/gitignore")),
];
const JS: &[File] = &[
    ("src/plugin.js", include_str!("templates/js/plugin.js")),
    (".gitignore", include_str!("templates/common/gitignore")),
];
const PYTHON: &[File] = &[
    ("src/app.py", include_str!("templates/python/app.py")),
    (".gitignore", include_str!("templates/common/gitignore")),
];
const C: &[File] = &[
    ("src/plugin.c", include_str!("templates/c/plugin.c")),
    (".gitignore", include_str!("templates/common/gitignore")),
];

impl Wish {
    /// Makes the folder of the plugin in another and returns it.
    ///
    /// # Errors
    /// The name is none, or the folder exists.
    pub fn create(&self, parent: &Path) -> Result<PathBuf, AuthorError> {
        if !is_name(&self.name) {
            return Err(AuthorError::NoName(self.name.clone()));
        }
        let folder = parent.join(&self.name);
        fs::create_dir_all(parent).map_err(AuthorError::io("make", parent))?;
        fs::create_dir(&folder).map_err(AuthorError::io("make", &folder))?;
        for (place, template) in COMMON.iter().chain(self.sources()) {
            paths::write_changed(&folder.join(place), self.fill(template).as_bytes())?;
        }
        wit::write_released(&folder.join("wit/deps"))?;
        Ok(folder)
    }

    fn sources(&self) -> &'static [File] {
        match self.language {
            Language::Rust => RUST,
            Language::Js => JS,
            Language::Python => PYTHON,
            Language::C => C,
        }
    }

    fn fill(&self, template: &str) -> String {
        let (language, lang) = match self.language {
            Language::Rust => ("Rust", "rust"),
            Language::Js => ("JavaScript", "js"),
            Language::Python => ("Python", "python"),
            Language::C => ("C", "c"),
        };
        let grants: Vec<&str> = self.grants.iter().map(|grant| as_granted(grant)).collect();
        let is_on = |word: &str| match word {
            "configurable" => self.language != Language::C,
            "granted" => !self.grants.is_empty(),
            other => self.hooks.contains(&other) || self.grants.contains(&other),
        };
        let values = [
            ("name", self.name.as_str()),
            ("language", language),
            ("lang", lang),
            ("grants", &grants.join(", ")),
        ];
        fill(template, is_on, &values)
    }
}

/// Returns what the operator writes to grant something.
fn as_granted(grant: &str) -> &'static str {
    match grant {
        "kv" => "kv = { max-kib = 64 }",
        "http" => "http = { hosts = [\"policy.example.com:443\"] }",
        "random" => "random = true",
        _ => "schema = true",
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::plugin::case::Case;
    use crate::plugin::manifest::Manifest;

    const HOOKS: [&str; 3] = ["on-message", "access", "routing"];
    const GRANTS: [&str; 4] = ["kv", "http", "random", "schema"];

    fn check(language: Language, hooks: &[&'static str], grants: &[&'static str]) {
        let parent = std::env::temp_dir().join(format!("portcullis-new-{}", Uuid::new_v4()));
        let wish = Wish {
            name: "p".to_owned(),
            language,
            hooks: hooks.to_vec(),
            grants: grants.to_vec(),
        };
        let folder = wish.create(&parent).expect("a new plugin");
        let manifest = Manifest::read(&folder).expect("its manifest");
        assert_eq!(manifest.hooks.entries().count(), hooks.len());
        assert_eq!(manifest.smoke.len(), hooks.len());
        assert!(grants.iter().all(|grant| manifest.requests.asks_for(grant)));
        let cases = folder.join("cases/first.toml");
        let text = fs::read_to_string(&cases).expect("its cases");
        assert!(!Case::parse_file(&cases, &text).expect("its cases").is_empty());
        let world = wit::read(&folder).expect("its world");
        let world = &world.resolve.worlds[world.id];
        // Besides the hooks, `lifecycle`; besides the grants, `types`, `message`, `log` and `clock`.
        assert_eq!(
            (world.exports.len(), world.imports.len()),
            (hooks.len() + 1, grants.len() + 4)
        );
        fs::remove_dir_all(parent).expect("ours");
    }

    #[test]
    fn every_wish_makes_a_manifest_cases_and_a_world() {
        for language in [Language::Rust, Language::Js, Language::Python, Language::C] {
            check(language, &HOOKS, &GRANTS);
            for hook in HOOKS {
                check(language, &[hook], &[]);
            }
            for grant in GRANTS {
                check(language, &HOOKS[..1], &[grant]);
            }
        }
    }
}
