//! A guest in text form: it lets everything pass, until a test has it do something else.

use std::collections::BTreeMap;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::image::Image;

/// The functions that a guest can export: interface, name, parameters, and whether it gets a context.
const FUNCTIONS: [(&str, &str, &str, bool); 6] = [
    ("lifecycle", "describe", "", false),
    ("lifecycle", "init", "(param i32 i32)", false),
    ("on-message", "on-message", "(param $ctx i32)", true),
    ("access", "authorize", "(param $ctx i32)", true),
    ("access", "filter", "(param $ctx i32)", true),
    ("routing", "choose", "(param $ctx i32)", true),
];
/// The method that a guest misbehaves at. Others are not so short.
pub(crate) const EVIL: &str = "evil";
/// Where results of the host's functions, and answers of zeroes, stand: pass, nothing to say, the default.
pub(crate) const RESULT: u32 = 1024;

const WIT: [(&str, &str); 3] = [
    ("types.wit", include_str!("../../../wit/plugin-0.1/types.wit")),
    ("host.wit", include_str!("../../../wit/plugin-0.1/host.wit")),
    ("hooks.wit", include_str!("../../../wit/plugin-0.1/hooks.wit")),
];

/// A guest to be.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    /// What stands in its memory.
    pub(crate) image: Image,
    world: String,
    wit: Vec<(String, String)>,
    foreign: Vec<String>,
    imports: String,
    items: String,
    memory: String,
    bodies: BTreeMap<&'static str, String>,
    answers: BTreeMap<&'static str, String>,
    missing: Vec<&'static str>,
    name: String,
    version: String,
}

impl Guest {
    /// Returns one that exports every hook and lets everything pass.
    pub(crate) fn new() -> Self {
        Self {
            image: Image::default(),
            world: "include policy;".to_owned(),
            wit: Vec::new(),
            foreign: Vec::new(),
            imports: String::new(),
            items: String::new(),
            memory: "16".to_owned(),
            bodies: BTreeMap::new(),
            answers: BTreeMap::new(),
            missing: Vec::new(),
            name: "hostile".to_owned(),
            version: "1.0.0".to_owned(),
        }
    }

    /// Has it do something in a function: always in `describe` and `init`, in hooks for the method [`EVIL`].
    pub(crate) fn doing(mut self, function: &'static str, body: impl Into<String>) -> Self {
        self.bodies.insert(function, body.into());
        self
    }

    /// Has it return an answer that stands in its memory.
    pub(crate) fn returning(self, function: &'static str, at: u32) -> Self {
        self.doing(function, format!("(return (i32.const {at}))"))
    }

    /// Has it always return an answer that stands in its memory.
    pub(crate) fn always(self, function: &'static str, at: u32) -> Self {
        self.answering(function, format!("(i32.const {at})"))
    }

    /// Has it always return what an expression says: where an answer stands.
    pub(crate) fn answering(mut self, function: &'static str, expression: String) -> Self {
        self.answers.insert(function, expression);
        self
    }

    /// Gives it further items: functions, globals, tables.
    pub(crate) fn with(mut self, items: &str) -> Self {
        self.items.push_str(items);
        self
    }

    /// Gives it a memory of another size, in pages, or with a maximum.
    pub(crate) fn memory(mut self, pages: &str) -> Self {
        self.memory = pages.to_owned();
        self
    }

    /// Has it call itself something.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Has it say that it is of a version.
    pub(crate) fn of_version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// Imports a function of an interface of the package, as `$name`. The interface has to be in the world.
    pub(crate) fn importing(mut self, interface: &str, function: &str, kind: &str) -> Self {
        let full = format!("portcullis:plugin/{interface}@0.1.0");
        self.imports.push_str(&format!(
            "(import \"{full}\" \"{function}\" (func ${function} {kind}))\n"
        ));
        self
    }

    /// Adds to its world.
    pub(crate) fn wanting(mut self, line: &str) -> Self {
        self.world.push_str(line);
        self
    }

    /// Gives it another world.
    pub(crate) fn in_world(mut self, world: &str) -> Self {
        self.world = world.to_owned();
        self
    }

    /// Has it believe that another package exists.
    pub(crate) fn knowing(mut self, wit: &str) -> Self {
        self.foreign.push(wit.to_owned());
        self
    }

    /// Imports a function of another package.
    pub(crate) fn importing_foreign(mut self, interface: &str, function: &str, kind: &str) -> Self {
        self.imports.push_str(&format!(
            "(import \"{interface}\" \"{function}\" (func {kind}))\n"
        ));
        self
    }

    /// Has it believe that the WIT says something else.
    pub(crate) fn believing(mut self, truth: &str, belief: &str) -> Self {
        assert!(WIT.iter().any(|(_, text)| text.contains(truth)), "{truth}");
        self.wit.push((truth.to_owned(), belief.to_owned()));
        self
    }

    /// Has it lack a function.
    pub(crate) fn without(mut self, function: &'static str) -> Self {
        self.missing.push(function);
        self
    }

    /// Returns the component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        for foreign in &self.foreign {
            resolve
                .push_str("foreign.wit", foreign)
                .expect("the other package's WIT");
        }
        let package = resolve
            .push_str("plugin.wit", &self.package())
            .expect("what it believes of the WIT");
        let world = resolve
            .select_world(&[package], Some("a-guest"))
            .expect("the world");
        let text = self.module(&resolve, world);
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("its metadata");
        let encoder = ComponentEncoder::default().module(&module).expect("its module");
        encoder.validate(true).encode().expect("a component")
    }

    fn package(&self) -> String {
        let mut text: String = WIT.iter().map(|(_, text)| *text).collect();
        text.push_str(&format!("world a-guest {{ {} }}", self.world));
        for (truth, belief) in &self.wit {
            text = text.replace(truth, belief);
        }
        text
    }

    fn module(&self, resolve: &Resolve, world: wit_parser::WorldId) -> String {
        let exported: Vec<String> = resolve.worlds[world]
            .exports
            .keys()
            .map(|key| resolve.name_world_key(key))
            .collect();
        let functions: String = FUNCTIONS
            .iter()
            .filter_map(|(interface, function, params, has_context)| {
                let is_its = |full: &&String| full.contains(&format!("/{interface}@"));
                let full = exported
                    .iter()
                    .find(is_its)
                    .filter(|_| !self.missing.contains(function))?;
                Some(self.function(full, function, params, *has_context))
            })
            .collect();
        let Self {
            imports,
            items,
            memory,
            ..
        } = self;
        let mut image = self.image.clone();
        let name = image.text(&self.name);
        let version = image.text(&self.version);
        let info = image.words(&[name[0], name[1], version[0], version[1]]);
        let segment = image.segment();
        format!(
            r#"(module
                {imports}
                (memory (export "memory") {memory})
                (global $info i32 (i32.const {info}))
                (global $heap (mut i32) (i32.const 131072))
                {segment}
                {items}
                (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                    (global.set $heap (i32.add (local.get $at) (local.get $size)))
                    (local.get $at))
                {functions})"#
        )
    }

    fn function(&self, interface: &str, function: &str, params: &str, has_context: bool) -> String {
        let body = self.bodies.get(function).map_or("", String::as_str);
        // The method's length stands there in the context.
        let body = match has_context {
            true => {
                format!("(if (i32.eq (i32.load offset=28 (local.get $ctx)) (i32.const 4)) (then {body}))")
            }
            false => body.to_owned(),
        };
        let answer = match function {
            "describe" => "(global.get $info)".to_owned(),
            _ => {
                let told = self.answers.get(function).cloned();
                told.unwrap_or_else(|| format!("(i32.const {RESULT})"))
            }
        };
        format!(
            r#"(func (export "{interface}#{function}") {params} (result i32)
                (local $i i32)
                (global.set $heap (i32.const 131072))
                {body}
                {answer})
            "#
        )
    }
}
