//! A plugin in a folder, as an operator finds it.

use std::fs;
use std::path::Path;

use super::guest::Guest;

/// A plugin that has `on-message` and `access`. It lets every message pass, with its version as the note `version`, unless
/// it is told to change it, and denies access if it is told to, with its version as the message.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether it denies access.
    pub(crate) denies: bool,
    /// Whether it traps when it is asked what may be seen.
    pub(crate) breaks_lists: bool,
    /// The methods that `on-message` is asked about.
    pub(crate) methods: String,
    /// What it changes of such messages: `request` or `response`, a pointer, and the JSON text that comes there.
    pub(crate) changes: Vec<[String; 3]>,
    /// Whether `init` refuses.
    pub(crate) refuses: bool,
    /// Whether it imports `kv`.
    pub(crate) imports_kv: bool,
    /// What its manifest says besides its name, its version and that it is asked everything.
    pub(crate) manifest: String,
}

impl Trial {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            denies: false,
            breaks_lists: false,
            methods: "*".to_owned(),
            changes: Vec::new(),
            refuses: false,
            imports_kv: false,
            manifest: String::new(),
        }
    }

    /// Puts it into a folder of its name, as an author would drop it there.
    pub(crate) fn drop_into(&self, dir: &Path) {
        let folder = dir.join(&self.name);
        fs::create_dir_all(&folder).expect("a folder");
        for (name, bytes) in [
            ("plugin.toml", self.manifest().into_bytes()),
            ("plugin.wasm", self.component()),
        ] {
            fs::write(folder.join("new"), bytes).expect("written");
            fs::rename(folder.join("new"), folder.join(name)).expect("moved");
        }
    }

    /// Returns `plugin.toml`.
    pub(crate) fn manifest(&self) -> String {
        let Self {
            name,
            version,
            methods,
            manifest,
            ..
        } = self;
        format!(
            "plugin = {{ name = {name:?}, version = {version:?} }}\n\
             hooks.on-message = {{ methods = [{methods:?}] }}\nhooks.access = {{ methods = [\"*\"] }}\n{manifest}\n"
        )
    }

    /// Returns `plugin.wasm`.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut guest = Guest::new().named(&self.name).of_version(&self.version);
        let mut world = "include validator; include access-policy;".to_owned();
        if self.imports_kv {
            world.push_str("import kv;");
            guest = guest.importing("kv", "delete", "(param i32 i32)");
        }
        let image = &mut guest.image;
        let note = [image.text("version"), image.text(&self.version)].concat();
        let note = image.words(&note);
        let mut verdict = format!("(i32.const {})", image.verdict(&[0], [note, 1]));
        for [kind, pointer, value] in &self.changes {
            let edit = image.edits(&[(pointer, Some(value))]);
            // The kind stands there in the context, as the number of its case.
            let kind = if kind == "request" { 0 } else { 2 };
            verdict = format!(
                "(if (result i32) (i32.eq (i32.load8_u offset=21 (local.get $ctx)) (i32.const {kind}))
                    (then (i32.const {edit})) (else {verdict}))"
            );
        }
        let mut authorized = vec![u32::from(self.denies)];
        authorized.extend(image.denial_of(&self.version, &self.version, None));
        let authorized = image.words(&authorized);
        let first = image.words(&[0]);
        let kept = image.words(&[first, u32::from(!self.denies)]);
        let [at, length] = image.text("it never starts");
        let started = image.words(&[u32::from(self.refuses), at, length]);
        let filtered = match self.breaks_lists {
            true => "(unreachable)".to_owned(),
            false => format!("(i32.const {kept})"),
        };
        let guest = guest
            .in_world(&world)
            .always("init", started)
            .answering("on-message", verdict)
            .always("authorize", authorized)
            .answering("filter", filtered);
        guest.component()
    }
}
