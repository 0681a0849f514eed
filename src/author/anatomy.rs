//! What a component is made of, as far as the gateway cares: read from its bytes, not from anybody's claim.

use sha2::{Digest, Sha256};
use wasmparser::Parser;
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem, WorldKey};

use super::error::AuthorError;
use crate::plugin::folder::hexadecimal;
use crate::plugin::manifest::{MANIFEST_FILE, Manifest};

/// The package of our interfaces, with the colon's owner.
const PACKAGE: &str = "portcullis:plugin/";
/// What every plugin may import without asking.
const ALWAYS: &[&str] = &["types", "message", "log", "clock"];

/// What a component is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anatomy {
    /// Length, in bytes.
    pub size: usize,
    /// Digest, in hexadecimal.
    pub sha256: String,
    /// Version of `portcullis:plugin` that it speaks; none where it speaks nothing of ours.
    pub line: Option<String>,
    /// Our interfaces that it exports, such as `access`.
    pub exports: Vec<String>,
    /// Our interfaces that it imports, but for `types`.
    pub imports: Vec<String>,
    /// Interfaces of WASI that it imports. The gateway has none.
    pub wasi: Vec<String>,
    /// Whatever else it imports. The gateway has none of it.
    pub foreign: Vec<String>,
}

impl Anatomy {
    /// Reads a component.
    ///
    /// # Errors
    /// It is none.
    pub fn read(component: &[u8]) -> Result<Self, AuthorError> {
        // What decodes components takes a module for one without imports and exports.
        if !Parser::is_component(component) {
            return Err(AuthorError::NoComponent("it does not begin as one".to_owned()));
        }
        let (resolve, world) = match wit_component::decode(component) {
            Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
            Ok(DecodedWasm::WitPackage(..)) => {
                return Err(AuthorError::NoComponent(
                    "it is a package of interfaces".to_owned(),
                ));
            }
            Err(error) => return Err(AuthorError::NoComponent(format!("{error:#}"))),
        };
        let world = &resolve.worlds[world];
        let imports = names(&resolve, &world.imports);
        let exports = names(&resolve, &world.exports);
        let line = exports.iter().chain(&imports).find_map(|name| {
            let (_, line) = name.strip_prefix(PACKAGE)?.split_once('@')?;
            Some(line.to_owned())
        });
        let (wasi, others): (Vec<_>, Vec<_>) = imports
            .iter()
            .filter(|name| ours(name).is_none())
            .cloned()
            .partition(|name| name.starts_with("wasi:"));
        Ok(Self {
            size: component.len(),
            sha256: hexadecimal(&Sha256::digest(component)),
            line,
            exports: exports.iter().filter_map(|name| ours(name)).collect(),
            imports: imports
                .iter()
                .filter_map(|name| ours(name))
                .filter(|name| name != "types")
                .collect(),
            wasi,
            foreign: others,
        })
    }

    /// Checks that the component can be what its manifest says.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn fits(&self, manifest: &Manifest) -> Result<(), AuthorError> {
        if !self.wasi.is_empty() {
            return Err(AuthorError::Wasi {
                imports: self.wasi.clone(),
                remedy: "build it with `portcullis plugin build`, which leaves WASI out",
            });
        }
        let mut problems: Vec<String> = Vec::new();
        for import in &self.foreign {
            problems.push(format!("it imports {import}, which the gateway does not have"));
        }
        if !self.exports.iter().any(|export| export == "lifecycle") {
            problems.push(
                "it does not export lifecycle: include a world of portcullis:plugin in wit/world.wit"
                    .to_owned(),
            );
        }
        for (hook, _) in manifest.hooks.entries() {
            if !self.exports.iter().any(|export| export == hook) {
                problems.push(format!(
                    "{MANIFEST_FILE} has hooks.{hook}, but the component does not export {hook}"
                ));
            }
        }
        for import in self.wants().filter(|import| !manifest.requests.asks_for(import)) {
            problems.push(format!(
                "it imports {import}, but {MANIFEST_FILE} does not ask for it: add it to [requests], or leave it out of \
                 wit/world.wit"
            ));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(AuthorError::Unfit(problems))
        }
    }

    /// Returns the interfaces that want a grant of the operator.
    pub fn wants(&self) -> impl Iterator<Item = &str> {
        let imports = self.imports.iter().map(String::as_str);
        imports.filter(|name| !ALWAYS.contains(name))
    }
}

/// Returns the name of one of our interfaces, without package and version.
fn ours(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split('@').next().unwrap_or(rest).to_owned())
}

fn names<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> Vec<String> {
    let name = |(key, _)| resolve.name_world_key(key);
    items.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Returns a component of nothing but imports and exports, all of them empty.
    fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
        let imports: String = imports
            .iter()
            .map(|name| format!("(import \"{name}\" (instance))\n"))
            .collect();
        let exports: String = exports
            .iter()
            .map(|name| format!("(export \"{name}\" (instance $nothing))\n"))
            .collect();
        let text = format!("(component {imports} (instance $nothing) {exports})");
        wat::parse_str(text).expect("a component")
    }

    fn manifest(more: &str) -> Manifest {
        let text = format!(
            "[plugin]\nname = \"p\"\nversion = \"1\"\n[hooks]\naccess = {{ methods = [\"*\"] }}\n{more}"
        );
        Manifest::parse(Path::new("plugin.toml"), &text).expect("a manifest")
    }

    const LIFECYCLE: &str = "portcullis:plugin/lifecycle@0.1.3";
    const ACCESS: &str = "portcullis:plugin/access@0.1.3";

    #[test]
    fn a_component_says_what_it_is_made_of() {
        let bytes = component(
            &[
                "portcullis:plugin/types@0.1.3",
                "portcullis:plugin/kv@0.1.3",
                "portcullis:plugin/log@0.1.3",
            ],
            &[LIFECYCLE, ACCESS, "other:thing/x"],
        );
        let anatomy = Anatomy::read(&bytes).expect("a component");
        assert_eq!(anatomy.line.as_deref(), Some("0.1.3"));
        assert_eq!(anatomy.exports, ["lifecycle", "access"]);
        assert_eq!(anatomy.imports, ["kv", "log"]);
        assert_eq!(anatomy.wants().collect::<Vec<_>>(), ["kv"]);
        assert_eq!((anatomy.size, anatomy.sha256.len()), (bytes.len(), 64));
        anatomy
            .fits(&manifest("[requests]\nkv = { max-kib = 1 }"))
            .expect("it asks for what it imports");
    }

    #[test]
    fn what_does_not_fit_is_told_at_once() {
        let bytes = component(&["portcullis:plugin/http@0.1.0", "other:thing/x"], &[]);
        let error = Anatomy::read(&bytes).and_then(|anatomy| anatomy.fits(&manifest("")));
        let error = error.expect_err("it does not fit").to_string();
        for said in [
            "it imports other:thing/x, which the gateway does not have",
            "it does not export lifecycle",
            "plugin.toml has hooks.access, but the component does not export access",
            "it imports http, but plugin.toml does not ask for it",
        ] {
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn wasi_is_refused() {
        let bytes = component(&["wasi:cli/stdout@0.2.0"], &[LIFECYCLE, ACCESS]);
        let anatomy = Anatomy::read(&bytes).expect("a component");
        assert_eq!(anatomy.wasi, ["wasi:cli/stdout@0.2.0"]);
        let error = anatomy.fits(&manifest("")).expect_err("refused");
        assert!(matches!(error, AuthorError::Wasi { .. }), "{error}");
    }

    #[test]
    fn a_module_is_no_component() {
        for bytes in [&wat::parse_str("(module)").expect("a module")[..], b"", b"MZ"] {
            let read = Anatomy::read(bytes);
            assert!(matches!(read, Err(AuthorError::NoComponent(_))), "{read:?}");
        }
    }
}
