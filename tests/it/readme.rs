//! What the README says is so: its table of keys, its configurations, the `make` targets it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde_json::{Map, Value};

const README: &str = include_str!("../../README.md");
const DEFAULTS: &str = include_str!("../../config/default.toml");
const MAKEFILE: &str = include_str!("../../Makefile");

const TABLE_START: &str =
    "<!-- keys: written by `PORTCULLIS_WRITE_README=1 cargo test --release the_table_of_keys` -->\n";
const TABLE_END: &str = "<!-- end of the keys -->";

fn readme_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// The fenced blocks of the README in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    let blocks = README.split(&fence).skip(1);
    let blocks: Vec<_> = blocks
        .map(|rest| rest.split_once("```").expect("a block is closed").0)
        .collect();
    assert!(!blocks.is_empty(), "the README has blocks of {language}");
    blocks
}

/// Has the program check a configuration, with something in every variable that it names.
fn check(name: &str, text: &str) -> Result<String, String> {
    let directory = std::env::temp_dir().join(format!("portcullis-readme-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let file = directory.join(name);
    fs::write(&file, text).expect("the directory is ours");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    let variables = text
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split(['}', ':']).next());
    for variable in variables {
        command.env(variable, format!("/the/value/of/{variable}"));
    }
    let output = command
        .arg("check")
        .arg("--config")
        .arg(&file)
        .output()
        .expect("the program has been built");
    fs::remove_file(&file).expect("it was just written");
    // The last test to finish finds it empty.
    let _ = fs::remove_dir(&directory);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        Ok(said.concat())
    } else {
        Err(said.concat())
    }
}

#[test]
fn its_configurations_are_valid() {
    for (number, block) in blocks("toml").into_iter().enumerate() {
        let said = check(&format!("block-{number}.toml"), block);
        assert!(said.is_ok(), "{block}\n{said:?}");
    }
    let of_clients = |block: &&str| block.contains("\"url\"");
    let (clients, ours): (Vec<_>, Vec<_>) = blocks("json").into_iter().partition(of_clients);
    for (number, block) in ours.into_iter().enumerate() {
        let said = check(&format!("block-{number}.json"), block);
        assert!(said.is_ok(), "{block}\n{said:?}");
    }
    for block in clients {
        serde_json::from_str::<Value>(block).unwrap_or_else(|error| panic!("{block}\n{error}"));
    }
}

#[test]
fn a_wrong_configuration_would_be_seen() {
    let said = check(
        "wrong.toml",
        "[servers.a]\ncommand = \"a\"\nsharring = \"auto\"\n",
    );
    assert!(
        said.as_ref().is_err_and(|said| said.contains("sharring")),
        "{said:?}"
    );
}

#[test]
fn the_make_targets_are_those_of_the_makefile() {
    let targets: BTreeSet<&str> = MAKEFILE
        .lines()
        .filter_map(|line| line.strip_prefix("## ")?.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    for target in &targets {
        assert!(
            MAKEFILE.contains(&format!("\n{target}:")),
            "the Makefile announces {target}"
        );
    }
    let named: BTreeSet<&str> = README
        .split("`make ")
        .skip(1)
        .map(|rest| rest.split(['`', ' ']).next().expect("split gives one"))
        .collect();
    assert_eq!(named, targets);
}

/// Checks the table; with `PORTCULLIS_WRITE_README` it writes it.
#[test]
fn the_table_of_keys_is_that_of_the_configuration() {
    let (before, rest) = README
        .split_once(TABLE_START)
        .expect("the table's start is marked");
    let (written, after) = rest.split_once(TABLE_END).expect("the table's end is marked");
    let current = table();
    if std::env::var_os("PORTCULLIS_WRITE_README").is_some() {
        let text = format!("{before}{TABLE_START}{current}{TABLE_END}{after}");
        fs::write(readme_path(), text).expect("the source tree is writable");
        return;
    }
    assert!(written == current, "the table of keys should be:\n{current}");
}

/// The reference: every key with its default and its meaning, section by section.
fn table() -> String {
    let schema = portcullis::config::json_schema();
    let defaults: Value = Figment::from(Toml::string(DEFAULTS))
        .extract()
        .expect("the defaults are TOML");
    let properties = |at: &str| {
        schema
            .pointer(at)
            .and_then(Value::as_object)
            .expect("the schema has it")
    };
    let top = properties("/properties");
    let mut text = String::from("\n| key | default | |\n|---|---|---|\n");
    for (name, key) in top
        .iter()
        .filter(|(_, key)| key.get("type") == Some(&Value::from("string")))
    {
        row(&mut text, name, key, defaults.get(name));
    }
    for (section, table) in top {
        let Some(keys) = table.get("properties").and_then(Value::as_object) else {
            continue;
        };
        for (name, key) in keys {
            row(
                &mut text,
                &format!("{section}.{name}"),
                key,
                defaults[section].get(name),
            );
        }
    }
    for (section, at) in [
        (
            "principals",
            "/properties/principals/additionalProperties/properties",
        ),
        ("plugins", "/$defs/plugin/properties"),
        ("routes", "/$defs/route/properties"),
    ] {
        rows(&mut text, &format!("{section}.NAME"), properties(at));
    }
    // What a server takes besides the keys of server-defaults; other spellings and names are left out.
    let shared: BTreeMap<&String, &Value> = properties("/properties/server-defaults/properties")
        .iter()
        .collect();
    for (name, key) in properties("/$defs/server/properties") {
        let is_spelling = name.chars().any(char::is_uppercase);
        if !is_spelling && !shared.contains_key(name) {
            row(&mut text, &format!("servers.NAME.{name}"), key, None);
        }
    }
    text
}

/// The keys of a table, and of the tables in it.
fn rows(text: &mut String, path: &str, keys: &Map<String, Value>) {
    for (name, key) in keys {
        let path = format!("{path}.{name}");
        row(text, &path, key, None);
        let of_entries = key.pointer("/items/anyOf/0/properties");
        let inner = key.get("properties").or(of_entries);
        if let Some(inner) = inner.and_then(Value::as_object) {
            rows(text, &path, inner);
        }
    }
}

fn row(text: &mut String, name: &str, key: &Value, default: Option<&Value>) {
    let doc = key["description"].as_str().expect("every key is documented");
    // "If absent: …" is what the schema says where there is no default.
    let (meaning, absent) = doc.split_once(" If absent: ").unwrap_or((doc, ""));
    let default = match default {
        Some(value) => format!("`{value}`").replace("\",\"", "\", \""),
        None => absent.trim_end_matches('.').replace('<', "\\<"),
    };
    let choices = key.get("enum").or_else(|| key.pointer("/items/enum"));
    let choices: Vec<String> = choices
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|choice| format!("`{choice}`"))
        .collect();
    let choices = match choices.len() {
        0 | 1 => String::new(),
        _ => format!(" Of {}.", choices.join(", ")),
    };
    writeln!(text, "| `{name}` | {default} | {meaning}{choices} |").expect("writing to a string cannot fail");
}
