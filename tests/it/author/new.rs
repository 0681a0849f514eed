//! `plugin new`: what it makes, and what it will not.

use super::folder::Folder;

#[test]
fn a_new_plugin_has_all_that_its_author_reads_and_changes() {
    let folder = Folder::new("new");
    for (language, source) in [
        ("rust", "src/lib.rs"),
        ("js", "src/plugin.js"),
        ("python", "src/app.py"),
        ("c", "src/plugin.c"),
    ] {
        let said = folder.does(&[
            "new", language, "--lang", language, "--hook", "access", "--with", "http",
        ]);
        assert!(
            said.contains(&format!("portcullis plugin build ./{language}")),
            "{said}"
        );
        let read = |place: &str| {
            let path = folder.path().join(language).join(place);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        assert!(read(source).contains("secret"), "the access policy");
        assert!(!read(source).contains("../"), "no message validation");
        assert!(read("wit/world.wit").contains("import portcullis:plugin/http@0.1.0;"));
        assert_eq!(
            read("wit/deps/plugin-0.1/host.wit"),
            include_str!("../../../wit/plugin-0.1/host.wit")
        );
        assert!(read("plugin.toml").contains(&format!("lang = \"{language}\"")));
        assert!(read("README.md").contains("grant = { http = { hosts = [\"policy.example.com:443\"] } }"));
        assert!(read(".gitignore").contains("/plugin.wasm"));
        assert!(read("cases/first.toml").contains("[[case]]"));
    }
}

#[test]
fn what_is_there_is_not_overwritten() {
    let folder = Folder::new("twice");
    let new = ["new", "mine", "--lang", "js", "--hook", "on-message"];
    folder.does(&new);
    folder.write("mine/src/plugin.js", "mine");
    let why = folder.refuses(&new);
    assert!(why.contains("cannot make ./mine"), "{why}");
    let kept = std::fs::read_to_string(folder.path().join("mine/src/plugin.js")).expect("it is there");
    assert_eq!(kept, "mine");
}

#[test]
fn a_name_is_one_of_a_folder() {
    let folder = Folder::new("name");
    for name in ["../up", "Big", "a b", ""] {
        let why = folder.refuses(&["new", name, "--lang", "c", "--hook", "routing"]);
        assert!(why.contains("is no name for a plugin"), "{why}");
    }
}
