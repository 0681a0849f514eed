//! Which files are read, and how they stand beside each other.

use std::path::{Path, PathBuf};

use super::super::*;
use super::Directory;

#[track_caller]
fn check(directory: &Directory, loader: &Loader, expect: Result<&[&str], &[&str]>) {
    let result = loader.load();
    let names = result.as_ref().map(|loaded| {
        loaded
            .config
            .servers
            .keys()
            .map(ServerName::as_str)
            .collect::<Vec<_>>()
    });
    let lines = names.map_err(|error| {
        error
            .to_string()
            .lines()
            .map(|line| directory.abridge(line))
            .collect::<Vec<_>>()
    });
    let expect = expect
        .map(<[_]>::to_vec)
        .map_err(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
    assert_eq!(lines, expect);
}

#[test]
fn a_file_is_looked_for_in_the_working_directory_then_in_the_users() {
    let directory = Directory::with(&[
        (
            "xdg/portcullis/portcullis.json",
            r#"{"servers": {"user": {"command": "x"}}}"#,
        ),
        (
            "home/.config/portcullis/portcullis.yml",
            "servers: {home: {command: x}}",
        ),
    ]);
    let xdg = directory.path("xdg").display().to_string();
    check(&directory, &directory.loader(&[]), Ok(&["home"]));
    check(
        &directory,
        &directory.loader(&[("XDG_CONFIG_HOME", "relative")]),
        Ok(&["home"]),
    );
    check(
        &directory,
        &directory.loader(&[("XDG_CONFIG_HOME", &xdg)]),
        Ok(&["user"]),
    );
    directory.write("portcullis.yaml", "servers: {here: {command: x}}");
    let loader = directory.loader(&[("XDG_CONFIG_HOME", &xdg)]);
    check(&directory, &loader, Ok(&["here"]));
    assert_eq!(
        loader.load().expect("valid").file,
        Some(directory.path("portcullis.yaml"))
    );
    directory.write("portcullis.toml", "# nothing");
    check(
        &directory,
        &loader,
        Err(&[
            "DIR/portcullis.yaml: `DIR/portcullis.toml` is there too: keep one of them, or name it with `--config`",
        ]),
    );
    check(
        &directory,
        &Loader {
            file: Some("portcullis.yaml".into()),
            ..loader
        },
        Ok(&["here"]),
    );
}

#[test]
fn without_a_file_there_are_the_defaults() {
    let directory = Directory::new();
    let loaded = directory
        .loader(&[("XDG_STATE_HOME", "/var/state")])
        .load()
        .expect("valid");
    assert_eq!(
        (loaded.file, loaded.config.state_dir),
        (None, PathBuf::from("/var/state/portcullis"))
    );
    let error = Loader::default().load().expect_err("no home");
    assert_eq!(
        error.to_string(),
        "default: state-dir: is missing, and there is no home directory to put it in: set it"
    );
}

#[test]
fn relative_paths_start_from_the_working_directory() {
    let directory = Directory::with(&[(
        "portcullis.toml",
        "state-dir = 'state'\nadmin = { token-file = 'token' }",
    )]);
    let config = directory.loader(&[]).load().expect("valid").config;
    assert_eq!(
        (config.state_dir, config.admin.token_file),
        (directory.path("state"), directory.path("token"))
    );
}

#[test]
fn the_directory_of_servers_is_read_beside_the_file() {
    let directory = Directory::with(&[
        ("portcullis.toml", "[servers.a]\ncommand = 'x'"),
        ("servers.d/one.json", r#"{"name": "b", "command": "x"}"#),
        (
            "servers.d/table.toml",
            "[servers.c]\ncommand = 'x'\n[servers.d]\ncommand = 'x'",
        ),
        (
            "servers.d/list.yaml",
            "- {name: e, command: x}\n- {name: f, command: x}",
        ),
        ("servers.d/alias.yml", "mcpServers: {g: {command: x}}"),
        (
            "servers.d/same.json",
            r#"{"servers": [{"name": "a", "command": "x"}]}"#,
        ),
        ("servers.d/.hidden.toml", "broken"),
        ("servers.d/notes.txt", "broken"),
    ]);
    check(
        &directory,
        &directory.loader(&[]),
        Ok(&["a", "b", "c", "d", "e", "f", "g"]),
    );
    let warnings = directory.loader(&[]).load().expect("valid").warnings;
    assert_eq!(
        warnings
            .iter()
            .map(|warning| directory.abridge(&warning.to_string()))
            .collect::<Vec<_>>(),
        ["DIR/servers.d/notes.txt: is passed over: servers are read from .toml, .json, .yaml and .yml files"]
    );
}

#[test]
fn the_directory_of_servers_is_read_without_a_file() {
    let directory = Directory::with(&[("servers.d/a.json", r#"{"name": "a", "command": "x"}"#)]);
    check(&directory, &directory.loader(&[]), Ok(&["a"]));
}

#[test]
fn what_files_can_do_wrong() {
    let directory = Directory::with(&[
        (
            "portcullis.toml",
            "[servers.a]\ncommand = 'x'\n[servers.b]\ncommand = 'x'",
        ),
        ("servers.d/1.json", r#"{"name": "a", "command": "y"}"#),
        ("servers.d/2.json", r#"{"listen": "127.0.0.1:1", "servers": {}}"#),
        ("servers.d/3.json", "{"),
    ]);
    check(
        &directory,
        &directory.loader(&[]),
        Err(&[
            "DIR/servers.d/2.json: listen: a file of `servers.d` holds servers alone: move it to the main file",
            "DIR/servers.d/3.json: not JSON: EOF while parsing an object at line 1 column 1",
            "DIR/servers.d/1.json: servers.a: `DIR/portcullis.toml` defines this server differently: keep one of the two",
        ]),
    );
    let named = |name: &str| Loader {
        file: Some(Path::new(name).into()),
        ..Directory::new().loader(&[])
    };
    let error = named("missing.toml").load().expect_err("missing").to_string();
    assert!(
        error.ends_with("missing.toml: cannot be read: No such file or directory (os error 2)"),
        "{error}"
    );
    let ini = Directory::with(&[("a.ini", "")]);
    let loader = Loader {
        file: Some("a.ini".into()),
        ..ini.loader(&[])
    };
    check(
        &ini,
        &loader,
        Err(&["DIR/a.ini: its extension is none of .toml, .json, .yaml and .yml: rename it"]),
    );
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let directory = Directory::new();
    let comment = "#".repeat(16 << 20);
    directory.write("portcullis.toml", &comment);
    check(&directory, &directory.loader(&[]), Ok(&[]));
    directory.write("portcullis.toml", &(comment + "#"));
    check(
        &directory,
        &directory.loader(&[]),
        Err(&["DIR/portcullis.toml: cannot be read: it has more than 16 MiB"]),
    );
}

#[test]
fn a_file_that_a_write_has_emptied_is_refused_and_one_that_says_nothing_is_not() {
    let directory = Directory::new();
    for text in ["", "\n \n"] {
        directory.write("portcullis.toml", text);
        check(
            &directory,
            &directory.loader(&[]),
            Err(&["DIR/portcullis.toml: is empty: if nothing is to be set, write a comment"]),
        );
    }
    directory.write("portcullis.toml", "# nothing");
    check(&directory, &directory.loader(&[]), Ok(&[]));
}

#[cfg(unix)]
#[test]
fn nobody_waits_for_the_end_of_a_pipe() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = Directory::new();
    let path = directory.path("portcullis.toml");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR, 0).expect("the directory is ours");
    let loader = Loader {
        file: Some(path),
        ..directory.loader(&[])
    };
    check(
        &directory,
        &loader,
        Err(&["DIR/portcullis.toml: cannot be read: it is not a file"]),
    );
}

#[test]
fn too_many_files_are_refused() {
    let directory = Directory::new();
    for index in 0..=4_096 {
        directory.write(&format!("servers.d/{index}.json"), "");
    }
    check(
        &directory,
        &directory.loader(&[]),
        Err(&["DIR/servers.d: has 4097 files, the most is 4096: one file can hold several servers"]),
    );
    std::fs::remove_file(directory.path("servers.d/0.json")).expect("it is there");
    check(&directory, &directory.loader(&[]), Ok(&[]));
}
