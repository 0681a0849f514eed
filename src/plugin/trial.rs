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

/// A plugin that has `on-message` and `access`. It lets every message pass, with its version as the note `version`, and
/// denies access if it is told to, with its version as the message. Told to stamp, it adds its name and version to the list
/// `stamps` in the arguments of each call of a tool, and to the content of its result.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether it denies access.
    pub(crate) denies: bool,
    /// Whether it stamps.
    pub(crate) stamps: bool,
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
            stamps: false,
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
        format!(
            "plugin = {{ name = {name:?}, version = {version:?} }}\n\
             hooks.on-message = {{ methods = [\"*\"] }}\nhooks.access = {{ methods = [\"*\"] }}\n{manifest}\n"
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

    /// Returns the code that stamps requests and answers whose method ends with "call".
    fn stamping(&self, memory: &mut Memory) -> String {
        let Self { name, version, .. } = self;
        let question = format!("\"{name} {version}\"");
        let answer = format!(r#"{{"type":"text","text":"{name} {version}"}}"#);
        let question = memory.edit("/params/arguments/stamps/-", &question);
        let answer = memory.edit("/result/content/-", &answer);
        let end = u32::from_le_bytes(*b"call");
        // In a context, byte 21 is the kind (0 a request, 2 a response); the method's text and length stand at 24 and 28.
        format!(
            r#"(if (i32.eq (i32.const {end})
                    (i32.load (i32.sub (i32.add (i32.load offset=24 (local.get $ctx)) (i32.load offset=28 (local.get $ctx))) (i32.const 4))))
                (then
                    (if (i32.eq (i32.load8_u offset=21 (local.get $ctx)) (i32.const 0)) (then (return (i32.const {question}))))
                    (if (i32.eq (i32.load8_u offset=21 (local.get $ctx)) (i32.const 2)) (then (return (i32.const {answer}))))))"#
        )
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
        // pass, eight words that only other decisions have, and one note.
        let verdict = memory.words(&[0, 0, 0, 0, 0, 0, 0, 0, 0, note, 1]);
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
        let stamping = match self.stamps {
            true => self.stamping(&mut memory),
            false => String::new(),
        };
        let first = memory.words(&[0]);
        let kept = memory.words(&[first, u32::from(!self.denies)]);
        let kv = match self.imports_kv {
            true => "(import \"portcullis:plugin/kv@0.1.0\" \"delete\" (func (param i32 i32)))",
            false => "",
        };
        let export = |interface: &str, function: &str, params: &str, body: &str, answer: u32| {
            let name = format!("portcullis:plugin/{interface}@0.1.0#{function}");
            format!(
                "(func (export {name:?}) {params} (result i32) (global.set $heap (i32.const 8192)) {body} (i32.const {answer}))"
            )
        };
        let functions = [
            export("lifecycle", "describe", "", "", info),
            export("lifecycle", "init", "(param i32 i32)", "", init),
            export("on-message", "on-message", "(param $ctx i32)", &stamping, verdict),
            export("access", "authorize", "(param i32)", "", authorized),
            export("access", "filter", "(param i32)", "", kept),
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

    /// Puts in a verdict with one edit.
    fn edit(&mut self, pointer: &str, value: &str) -> u32 {
        let (pointer, value) = (self.text(pointer), self.text(value));
        let edit = self.words(&[&pointer[..], &[1], &value[..]].concat());
        self.words(&[2, edit, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn segment(&self) -> String {
        let bytes: String = self.0.iter().map(|byte| format!("\\{byte:02x}")).collect();
        format!("(data (i32.const {BASE}) \"{bytes}\")")
    }
}
