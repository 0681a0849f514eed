//! Plugins for tests: real components, made of text as authors' tools make them of code.

use std::fs;
use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WIT: [&str; 3] = [
    include_str!("../../wit/plugin-0.1/types.wit"),
    include_str!("../../wit/plugin-0.1/host.wit"),
    include_str!("../../wit/plugin-0.1/hooks.wit"),
];

/// A plugin that has `on-message` and `access`. It lets every message pass, with its version as the note `version`, or
/// makes one change, and denies access if it is told to, with its version as the message.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether it denies access.
    pub(crate) denies: bool,
    /// Whether it traps when it is asked what may be seen.
    pub(crate) breaks_lists: bool,
    /// A method, and what it changes of such requests: the pointer, and the JSON text.
    pub(crate) edit: Option<[String; 3]>,
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
            edit: None,
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
            manifest,
            ..
        } = self;
        let asked = match &self.edit {
            Some([method, ..]) => format!("methods = [{method:?}], kinds = [\"request\"]"),
            None => "methods = [\"*\"]".to_owned(),
        };
        format!(
            "plugin = {{ name = {name:?}, version = {version:?} }}\n\
             hooks.on-message = {{ {asked} }}\nhooks.access = {{ methods = [\"*\"] }}\n{manifest}\n"
        )
    }

    /// Returns `plugin.wasm`.
    pub(crate) fn component(&self) -> Vec<u8> {
        let kv = if self.imports_kv { "import kv;" } else { "" };
        let world = "world trial { include validator; include access-policy; ";
        let package = format!("{}\n{world}{kv} }}", WIT.concat());
        let mut resolve = Resolve::default();
        let package = resolve.push_str("trial.wit", &package).expect("the released WIT");
        let world = resolve
            .select_world(&[package], Some("trial"))
            .expect("its world");
        let mut module = wat::parse_str(self.module()).expect("a module");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
        let encoder = ComponentEncoder::default().module(&module).expect("a module");
        encoder.validate(true).encode().expect("a component")
    }

    /// Everything that it answers stands in its memory from the start, laid out as the canonical ABI wants it.
    fn module(&self) -> String {
        let mut memory = Memory::default();
        let name = memory.text(&self.name);
        let version = memory.text(&self.version);
        let info = memory.words(&[name, version].concat());
        let [at, length] = memory.text("it never starts");
        let init = memory.words(&[u32::from(self.refuses), at, length]);
        let key = memory.text("version");
        let note = memory.words(&[key, version].concat());
        // pass or edit, eight words for what only the other decisions have, and one note.
        let decision = match &self.edit {
            None => [0, 0, 0],
            Some([_, pointer, value]) => {
                let ([name, name_length], [at, length]) = (memory.text(pointer), memory.text(value));
                // Its pointer, and a value that is there.
                [2, memory.words(&[name, name_length, 1, at, length]), 1]
            }
        };
        let verdict = memory.words(&[&decision[..], &[0, 0, 0, 0, 0, 0, note, 1]].concat());
        let [at, length] = version;
        // -32001, the message, the reason, no data.
        let denial = [
            u32::from(self.denies),
            0xffff_82ff,
            at,
            length,
            at,
            length,
            0,
            0,
            0,
        ];
        let authorized = memory.words(&denial);
        let first = memory.words(&[0]);
        let kept = memory.words(&[first, u32::from(!self.denies)]);
        let kv = match self.imports_kv {
            true => "(import \"portcullis:plugin/kv@0.1.0\" \"delete\" (func (param i32 i32)))",
            false => "",
        };
        let export = |interface: &str, function: &str, params: &str, answer: u32| {
            let name = format!("portcullis:plugin/{interface}@0.1.0#{function}");
            format!(
                "(func (export {name:?}) {params} (result i32) (global.set $heap (i32.const 8192)) (i32.const {answer}))"
            )
        };
        let functions = [
            export("lifecycle", "describe", "", info),
            export("lifecycle", "init", "(param i32 i32)", init),
            export("on-message", "on-message", "(param i32)", verdict),
            export("access", "authorize", "(param i32)", authorized),
            match self.breaks_lists {
                true => "(func (export \"portcullis:plugin/access@0.1.0#filter\") (param i32) (result i32) unreachable)".to_owned(),
                false => export("access", "filter", "(param i32)", kept),
            },
        ];
        format!(
            r#"(module {kv} (memory (export "memory") 2) (global $heap (mut i32) (i32.const 8192)) {data}
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                    (global.get $heap)
                    (global.set $heap (i32.add (global.get $heap) (local.get 3))))
                {functions})"#,
            data = memory.segment(),
            functions = functions.concat(),
        )
    }
}

/// Where the answers begin.
const BASE: usize = 1024;

#[derive(Default)]
struct Memory(Vec<u8>);

impl Memory {
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let at = self.0.len().next_multiple_of(8);
        self.0.resize(at, 0);
        self.0.extend_from_slice(bytes);
        u32::try_from(BASE + at).expect("a small memory")
    }

    fn text(&mut self, text: &str) -> [u32; 2] {
        let length = u32::try_from(text.len()).expect("a short text");
        [self.put(text.as_bytes()), length]
    }

    fn words(&mut self, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(&bytes)
    }

    fn segment(&self) -> String {
        let bytes: String = self.0.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(data (i32.const {BASE}) \"{bytes}\")")
    }
}
