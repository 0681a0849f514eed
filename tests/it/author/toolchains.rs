//! Where a language is missing, its author is told how to get it.

use super::folder::Folder;

#[test]
fn a_build_without_its_language_names_the_command() {
    let folder = Folder::new("build");
    for (language, command) in [
        ("rust", "rustup target add wasm32-unknown-unknown"),
        ("js", "apt-get install nodejs npm"),
        ("python", "apt-get install python3 python3-venv"),
        ("c", "apt-get install python3 python3-venv"),
    ] {
        folder.does(&["new", language, "--lang", language, "--hook", "access"]);
        let why = folder.refuses(&["build", language]);
        assert!(why.contains(command), "{language}: {why}");
        assert!(!folder.path().join(language).join("plugin.wasm").exists());
    }
}

#[test]
fn the_doctor_tells_what_is_missing() {
    let found = Folder::new("doctor").does(&["doctor"]);
    for line in [
        "rust     missing: there is no cargo here",
        "js       missing: there is no npm here",
        "python   missing: there is no python3 here",
        "c        missing: there is no python3 here",
    ] {
        assert!(found.contains(line), "{found}");
    }
}

#[test]
fn a_kit_that_is_installed_is_found() {
    let folder = Folder::new("kit");
    // An installation that was interrupted is none.
    folder.write(
        "cache/portcullis/author-componentize-qjs-0.4.5/node_modules/x",
        "",
    );
    let found = folder.does(&["doctor"]);
    assert!(found.contains("js       missing"), "{found}");
    folder.write("cache/portcullis/author-componentize-qjs-0.4.5/.ready", "");
    let found = folder.does(&["doctor"]);
    assert!(
        found.contains("js       ready: componentize-qjs 0.4.5"),
        "{found}"
    );
}

#[test]
fn a_world_that_cannot_be_read_is_shown_with_its_place() {
    let folder = Folder::new("world");
    folder.does(&["new", "p", "--lang", "js", "--hook", "access"]);
    folder.write(
        "p/wit/world.wit",
        "package local:p;\nworld plugin {\n    include portcullis:plugin/acess-policy@0.1.0;\n}\n",
    );
    let why = folder.refuses(&["build", "p"]);
    assert!(
        why.contains("world.wit:3:") && why.contains("acess-policy"),
        "{why}"
    );
    std::fs::remove_dir_all(folder.path().join("p/wit")).expect("ours");
    let why = folder.refuses(&["build", "p"]);
    assert!(
        why.contains("a plugin says in wit/world.wit what it exports and imports"),
        "{why}"
    );
}

#[test]
fn a_manifest_without_a_language_cannot_be_built() {
    let folder = Folder::new("language");
    folder.write(
        "p/plugin.toml",
        "[plugin]\nname = \"p\"\nversion = \"1\"\n[hooks]\naccess = { methods = [\"*\"] }\n",
    );
    let why = folder.refuses(&["build", "p"]);
    assert!(why.contains("add `[build]` with lang = "), "{why}");
    let why = folder.refuses(&["test", "p"]);
    assert!(why.contains("portcullis plugin build"), "{why}");
}
