//! Mangled input never panics, and is never accepted as something that breaks a promise of the model.

use super::super::document::Format;
use super::super::layers::DEFAULTS;
use super::super::*;
use super::{Directory, load};

/// A small generator (xorshift), so that a failure names its seed and comes again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("it is below a usize")
    }
}

const PIECES: [&str; 24] = [
    "${",
    "}",
    "$$",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\n",
    "=",
    ":",
    ",",
    "#",
    "-1",
    "99999999999999999999",
    "null",
    "\0",
    "é",
    "servers",
    "command",
    "[[servers]]",
    "never",
    "&a *a",
];

const YAML: &str = "servers:\n  - {name: a, command: x, env: {A: '${HOME:-x}'}}\nprincipals: {p: {token: 0123456789abcdef}}\nhttp: {bodyMax: 5MiB}\n";
const JSON: &str = r#"{"servers": [{"name": "a", "command": "x", "args": ["$$", "${HOME}"]}], "http": {"bodyMax": "1MiB"}, "log": {"level": "info,a=debug"}}"#;
const TOML: &str = "[servers.a]\ncommand = '${HOME}'\nargs = ['$$', '${X:-y}']\nenv = { A = 'b' }\nidle-timeout = '5m'\n[principals.p]\ntoken = '0123456789abcdef'\n";

fn mangle(text: &str, chance: &mut Chance) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=chance.below(4) {
        let at = chance.below(characters.len() + 1);
        let until = (at + chance.below(12)).min(characters.len());
        match chance.below(3) {
            0 => drop(characters.drain(at..until)),
            1 => drop(
                characters
                    .splice(at..at, PIECES[chance.below(PIECES.len())].chars())
                    .collect::<Vec<_>>(),
            ),
            _ => {
                let copy: Vec<char> = characters[at..until].to_vec();
                let to = chance.below(characters.len() + 1);
                drop(characters.splice(to..to, copy).collect::<Vec<_>>());
            }
        }
    }
    characters.into_iter().collect()
}

#[track_caller]
fn hold_promises(loaded: &Loaded, seed: u64) {
    let config = &loaded.config;
    for (name, server) in &config.servers {
        assert_eq!(*name, server.name, "seed {seed}");
        assert!(
            !server.command.value().trim().is_empty() && !server.command.value().contains('\0'),
            "seed {seed}"
        );
        assert!(
            server.instances >= 1 && server.instances <= server.instances_max,
            "seed {seed}"
        );
        assert!(
            server.restart.backoff_initial <= server.restart.backoff_max,
            "seed {seed}"
        );
    }
    assert!(
        config
            .principals
            .values()
            .all(|principal| principal.token.expose().len() >= TOKEN_BYTES_MIN),
        "seed {seed}"
    );
    assert!(
        config.requests.timeout <= config.requests.timeout_max,
        "seed {seed}"
    );
}

#[test]
fn mangled_documents() {
    let directory = Directory::new();
    let loader = directory.loader(&[("HOME", "/h")]);
    let (mut accepted, mut refused) = (0, 0);
    for seed in 1..=3_000_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (name, text) = [("a.yaml", YAML), ("a.json", JSON), ("a.toml", TOML)][chance.below(3)];
        directory.write(name, &mangle(text, &mut chance));
        match (Loader {
            file: Some(name.into()),
            ..loader.clone()
        })
        .load()
        {
            Ok(loaded) => {
                hold_promises(&loaded, seed);
                accepted += 1;
            }
            Err(error) => {
                assert!(
                    !error.violations.is_empty() && !error.to_string().is_empty(),
                    "seed {seed}"
                );
                refused += 1;
            }
        }
    }
    assert!(
        accepted > 100 && refused > 1_000,
        "both ways are reached: {accepted} accepted, {refused} refused"
    );
}

#[test]
fn mangled_defaults() {
    for seed in 1..=300_u64 {
        let text = mangle(DEFAULTS, &mut Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        if let Ok(document) = Format::Toml.parse(&text) {
            let text = document.to_string();
            if let Ok(loaded) = load("a.json", &text, &[]) {
                hold_promises(&loaded, seed);
            }
        }
    }
}

#[test]
fn mangled_variables_and_flags() {
    let directory = Directory::new();
    for seed in 1..=1_000_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let variable = mangle("PORTCULLIS__SERVERS__A__ENV__B", &mut chance);
        let text = mangle(JSON, &mut chance);
        let mut loader = directory.loader(&[(&variable, &text), ("PORTCULLIS__SERVERS", &text)]);
        loader.flags = vec![(mangle("servers.a.args", &mut chance), text)];
        if let Ok(loaded) = loader.load() {
            hold_promises(&loaded, seed);
        }
    }
}

#[test]
fn mangled_registrations() {
    for seed in 1..=1_000_u64 {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let registration =
            r#"{"name": "a", "command": "x", "env": {"A": "${B}"}, "idleTimeout": "5m", "instances": 3}"#;
        let Ok(json) = serde_json::from_str(&mangle(registration, &mut chance)) else {
            continue;
        };
        let defaults = ServerDefaults::default();
        if let Ok(spec) = ServerSpec::from_api(&json, &defaults) {
            let hides = spec.shown()["env"].to_string().contains("***");
            match ServerSpec::from_api(&spec.shown(), &defaults) {
                Ok(again) => assert_eq!(again.shown(), spec.shown(), "seed {seed}"),
                Err(violations) => assert!(hides, "what is shown is valid: {violations:?}"),
            }
            let patched = spec
                .patched(&json, &defaults)
                .expect("its own registration changes nothing");
            assert_eq!(patched.shown(), spec.shown(), "seed {seed}");
        }
    }
}
