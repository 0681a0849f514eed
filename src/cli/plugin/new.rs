//! `portcullis plugin new`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output::say;
use crate::author::create::Wish;
use crate::plugin::manifest::Language;

/// What a new plugin is to be.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Its name: a to z, 0 to 9 and "-"; the folder is called so too
    name: String,
    /// What it is written in
    #[arg(long, value_enum)]
    lang: LanguageArg,
    /// What it judges; can be repeated
    #[arg(long = "hook", value_enum, required = true)]
    hooks: Vec<HookArg>,
    /// What it wants granted; can be repeated
    #[arg(long = "with", value_enum)]
    grants: Vec<GrantArg>,
    /// Where its folder is made
    #[arg(long = "in", value_name = "FOLDER", default_value = ".")]
    parent: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LanguageArg {
    Rust,
    Js,
    Python,
    C,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum HookArg {
    /// Validates messages, both ways
    OnMessage,
    /// Says what may be used and seen
    Access,
    /// Says where a request goes
    Routing,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum GrantArg {
    /// A key-value store
    Kv,
    /// HTTP requests to hosts that the operator names
    Http,
    /// Random numbers
    Random,
    /// JSON Schema validation
    Schema,
}

/// Makes the folder of a new plugin.
///
/// # Errors
/// The name is none, or the folder exists.
pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let wish = Wish {
        name: args.name.clone(),
        language: match args.lang {
            LanguageArg::Rust => Language::Rust,
            LanguageArg::Js => Language::Js,
            LanguageArg::Python => Language::Python,
            LanguageArg::C => Language::C,
        },
        hooks: args.hooks.iter().map(|hook| hook.name()).collect(),
        grants: args.grants.iter().map(|grant| grant.name()).collect(),
    };
    let folder = wish.create(&args.parent)?;
    let folder = folder.display();
    say!("made {folder}; next:\n  portcullis plugin build {folder}\n  portcullis plugin test {folder}");
    Ok(ExitCode::SUCCESS)
}

impl HookArg {
    fn name(self) -> &'static str {
        match self {
            Self::OnMessage => "on-message",
            Self::Access => "access",
            Self::Routing => "routing",
        }
    }
}

impl GrantArg {
    fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Random => "random",
            Self::Schema => "schema",
        }
    }
}
