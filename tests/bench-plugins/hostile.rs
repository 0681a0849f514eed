//! Plugins that misbehave, those that the tests of the host use: each lets everything pass but the method `evil`.

#[path = "../../src/plugin/trial/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of the host use all of it")]
mod trial;

use std::fs;
use std::io;
use std::path::Path;

use trial::{EVIL, Guest};

/// The method that they misbehave at.
pub(crate) const METHOD: &str = EVIL;

/// What they do.
const DEEDS: [(&str, &str); 6] = [
    ("spin", "(loop $l (br $l))"),
    (
        "grow",
        "(loop $l (local.set $i (memory.grow (i32.const 64)))
            (memory.fill (i32.shl (local.get $i) (i32.const 16)) (i32.const 1) (i32.const 4194304)) (br $l))",
    ),
    (
        "fill",
        "(drop (memory.grow (i32.const 900)))
            (loop $l (memory.fill (i32.const 131072) (i32.const 1) (i32.const 58982400)) (br $l))",
    ),
    ("trap", "unreachable"),
    (
        "log-flood",
        "(loop $l (call $write (i32.const 4) (i32.const 131072) (i32.const 4096) (i32.const 0) (i32.const 0)) (br $l))",
    ),
    (
        "host-call-flood",
        "(loop $l (call $get (i32.const 131072) (i32.const 4096) (i32.const 1024)) (br $l))",
    ),
];

/// Returns their names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DEEDS.iter().map(|(name, _)| *name)
}

/// Puts all of them into a folder for plugins.
pub(crate) fn drop_into(folder: &Path) -> io::Result<()> {
    for (name, deed) in DEEDS {
        let plugin = folder.join(name);
        fs::create_dir_all(&plugin)?;
        let guest = Guest::new()
            .named(name)
            .importing("log", "write", "(param i32 i32 i32 i32 i32)")
            .importing("message", "get", "(param i32 i32 i32)")
            .doing("on-message", deed);
        fs::write(plugin.join("plugin.wasm"), guest.component())?;
        let manifest = format!(
            "plugin = {{ name = {name:?}, version = \"1.0.0\" }}\n\
             hooks.on-message = {{ methods = [\"tools/call\", {EVIL:?}] }}\n"
        );
        fs::write(plugin.join("plugin.toml"), manifest)?;
    }
    Ok(())
}
