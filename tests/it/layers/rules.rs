//! The rules of the house: who may import whom, what is walled in where, and what every file keeps to.

use super::source::{NamedPath, Source, spells};

/// The arrows, as `src/lib.rs` draws them; whoever may import a room may import what that room may.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["app", "author", "mock"]),
    ("app", &["http"]),
    ("http", &["gateway"]),
    ("author", &["plugin"]),
    ("gateway", &["registry", "plugin", "session"]),
    ("plugin", &["schema"]),
    ("registry", &["upstream"]),
    ("upstream", &["protocol"]),
    ("schema", &["protocol"]),
    ("session", &["protocol"]),
    ("mock", &["protocol"]),
    ("config", &["protocol"]),
    ("telemetry", &[]),
    ("protocol", &[]),
    ("lib", &[]),
];
/// The sentence of `src/lib.rs` that says the same; the text there may break its lines elsewhere.
pub(super) const ARROWS_SENTENCE: &str = "`main -> cli -> app -> http -> gateway -> {registry -> upstream, plugin -> schema, session} -> protocol`; \
    `cli -> mock -> protocol`; `cli -> author -> plugin`; `telemetry` from `app` and `cli` only; `config` is plain data that any room but `protocol` and `schema` may read.";

/// Something that only some places may name.
struct Wall {
    /// The beginnings of paths that are behind the wall.
    paths: &'static [&'static str],
    /// What begins like them but is free everywhere.
    free: &'static [&'static str],
    /// The beginnings of the places, below `src`, that may name them.
    places: &'static [&'static str],
    /// The rule, for the message.
    rule: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        paths: &["figment"],
        free: &[],
        places: &["config/"],
        rule: "figment stays in `config`",
    },
    Wall {
        paths: &["jsonschema"],
        free: &[],
        // A test of the generated schema of the configuration has it judged by somebody else.
        places: &["schema.rs", "config/tests/"],
        rule: "jsonschema stays in `schema`",
    },
    Wall {
        paths: &[
            "warp",
            "hyper::server",
            "hyper::service",
            "hyper_util::server",
            "hyper_util::service",
            "tower_service",
        ],
        free: &[],
        places: &["http/"],
        rule: "warp and hyper's server stay in `http`",
    },
    Wall {
        paths: &["http", "http_body", "http_body_util", "hyper", "hyper_util"],
        free: &[],
        places: &["http/", "cli/"],
        rule: "HTTP types stay in `http`; only the command line's client of the admin API speaks HTTP too",
    },
    Wall {
        paths: &["reqwest"],
        free: &[],
        places: &["upstream/remote/", "plugin/host/"],
        rule: "reqwest is for remote servers and for what plugins call",
    },
    Wall {
        paths: &["std::process", "tokio::process", "process_wrap"],
        // Ending, naming and describing processes is not starting them.
        free: &[
            "std::process::ExitCode",
            "std::process::ExitStatus",
            "std::process::id",
            "std::process::abort",
            "std::process::exit",
        ],
        // The mock starts the grandchildren and daemons that supervision is tested against.
        places: &[
            "upstream/launch.rs",
            "upstream/launch/",
            "mock/descendants.rs",
            "author/tool.rs",
        ],
        rule: "processes are started in `upstream::launch` only, and an author's tools in `author::tool`",
    },
    Wall {
        paths: &["libc"],
        free: &[],
        places: &["upstream/launch.rs", "upstream/launch/"],
        rule: "libc is for `upstream::launch` only; rustix does the rest",
    },
    Wall {
        paths: &["clap"],
        free: &[],
        places: &["cli/", "mock/options.rs"],
        rule: "clap stays in `cli`, and in the options of the mock",
    },
    Wall {
        paths: &["anyhow"],
        free: &[],
        places: &["main.rs", "cli/"],
        rule: "anyhow is for `main` and `cli`; every room has an error of its own",
    },
];

/// What `protocol` would need to perform I/O or to read a clock.
const NOT_IN_PROTOCOL: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio_util",
    "tracing",
];

/// Most lines of a file.
const LINES_MAX: usize = 500;

/// Returns every break of the rules in one file, each with the rule that it breaks.
pub(super) fn broken(source: &Source) -> Vec<String> {
    let mut broken = file_rules(source);
    for path in source.paths() {
        let rules = [
            layer(source, &path),
            wall(source, &path),
            pure_protocol(source, &path),
        ];
        broken.extend(rules.into_iter().flatten().map(|rule| {
            let NamedPath { line, segments } = &path;
            format!("src/{}:{line}: `{}`: {rule}", source.place, segments.join("::"))
        }));
    }
    broken
}

fn layer(source: &Source, path: &NamedPath) -> Option<String> {
    let target = match path.segments.as_slice() {
        [root, room, ..] if root == "crate" => room,
        [root, room, ..] if root == "portcullis" && source.place == "main.rs" => room,
        _ => return None,
    };
    if !is_room(target) || may_import(source.room(), target) {
        return None;
    }
    let room = source.room();
    Some(format!(
        "`{room}` may not import `{target}` (who may import whom: {ARROWS_SENTENCE})"
    ))
}

/// Items that stand at the root itself, such as macros, are in no room.
fn is_room(name: &str) -> bool {
    ARROWS.iter().any(|(room, _)| *room == name)
}

fn may_import(from: &str, to: &str) -> bool {
    match to {
        _ if from == to => true,
        "config" => !matches!(from, "protocol" | "schema" | "lib"),
        "telemetry" => matches!(from, "app" | "cli"),
        // Importing is not reaching around: nobody but `cli` and `main` sits above `app` and `cli`.
        _ => below(from).iter().any(|room| *room == to || may_import(room, to)),
    }
}

fn below(room: &str) -> &'static [&'static str] {
    ARROWS
        .iter()
        .find(|(from, _)| *from == room)
        .map_or(&[], |(_, to)| to)
}

fn wall(source: &Source, path: &NamedPath) -> Option<String> {
    let wall = WALLS.iter().find(|wall| {
        begins_with_any(path, wall.paths)
            && !begins_with_any(path, wall.free)
            && !wall.places.iter().any(|place| source.place.starts_with(place))
    })?;
    Some(wall.rule.to_owned())
}

fn pure_protocol(source: &Source, path: &NamedPath) -> Option<String> {
    let breaks = source.room() == "protocol" && begins_with_any(path, NOT_IN_PROTOCOL);
    breaks.then(|| "`protocol` performs no I/O and reads no clock".to_owned())
}

fn begins_with_any(path: &NamedPath, beginnings: &[&str]) -> bool {
    let whole = path.segments.join("::") + "::";
    beginnings
        .iter()
        .any(|beginning| whole.starts_with(&format!("{beginning}::")))
}

/// What every file keeps to, whatever it imports.
fn file_rules(source: &Source) -> Vec<String> {
    let place = &source.place;
    let mut broken = Vec::new();
    if !source.text.starts_with("//!") {
        broken.push(format!(
            "src/{place}:1: every file starts with `//!`: what it is for"
        ));
    }
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        broken.push(format!(
            "src/{place}: {lines} lines; a file has at most {LINES_MAX}, for one noun"
        ));
    }
    for (index, token) in source.tokens.iter().enumerate() {
        let tokens = &source.tokens[index..];
        let line = token.line;
        if spells(tokens, &["allow", "("]) && source.in_attribute(index) {
            broken.push(format!(
                "src/{place}:{line}: `#[expect(lint, reason = \"…\")]`, never `allow`"
            ));
        }
        if spells(tokens, &[".", "unwrap", "("]) && !token.test {
            broken.push(format!(
                "src/{place}:{line}: `expect(\"reason it holds\")`, never `unwrap`"
            ));
        }
    }
    broken
}

/// Returns the files of a folder that no `mod` line leads to from its root, given all of them by place and text.
pub(super) fn forgotten(files: &[Source], root: &str) -> Vec<String> {
    let mut reached = vec![root.to_owned()];
    let mut next = 0;
    while let Some(place) = reached.get(next).cloned() {
        next += 1;
        if let Some(source) = files.iter().find(|source| source.place == place) {
            reached.extend(source.modules());
        }
    }
    let forgotten = files.iter().map(|source| source.place.clone());
    forgotten.filter(|place| !reached.contains(place)).collect()
}

impl Source {
    /// Tells whether a token stands within `#[…]` or `#![…]`.
    fn in_attribute(&self, index: usize) -> bool {
        let before = &self.tokens[..index];
        let open = before.iter().rposition(|token| token.text == "#");
        open.is_some_and(|open| {
            before[open..]
                .iter()
                .all(|token| !matches!(token.text.as_str(), "]" | ";" | "}"))
        })
    }

    /// Returns the places that the `mod name;` lines of this file may mean.
    fn modules(&self) -> Vec<String> {
        let folder = match self.place.rsplit_once('/') {
            Some((folder, "mod.rs")) => format!("{folder}/"),
            _ if matches!(self.place.as_str(), "lib.rs" | "main.rs") => String::new(),
            _ => format!("{}/", self.place.trim_end_matches(".rs")),
        };
        let lines = self
            .tokens
            .windows(3)
            .filter(|three| three[0].text == "mod" && three[2].text == ";");
        lines
            .flat_map(|three| {
                let name = &three[1].text;
                [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")]
            })
            .collect()
    }
}
