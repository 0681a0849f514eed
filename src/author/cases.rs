//! `plugin test` and `plugin check`: a plugin asked by the host itself whether it decides as its author says.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::error::AuthorError;
use super::trial::{CONFIGURATION_FILE, Trial};
use crate::plugin::case::Case;
use crate::plugin::manifest::{MANIFEST_FILE, Manifest};
use crate::plugin::{Plugin, wishes};
use crate::schema;

/// So many faults of a case's configuration are told.
const FAULTS_MAX: usize = 4;

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file that it stands in, below the plugin's folder.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

/// Runs all cases of the plugin in a folder, in their order; calls `report` after each.
///
/// # Errors
/// A file of cases cannot be used, or the plugin cannot be loaded.
pub async fn run(folder: &Path, mut report: impl FnMut(&CaseReport)) -> Result<(), AuthorError> {
    let files = case_files(folder)?;
    let plugin = Trial::default().load(folder).await?.plugin;
    let smoke = (PathBuf::from(MANIFEST_FILE), plugin.manifest().smoke.clone());
    for (file, cases) in std::iter::once(smoke).chain(files) {
        for case in cases {
            report(&CaseReport {
                failure: failure(&plugin, &case).await,
                file: file.clone(),
                name: case.name,
            });
        }
    }
    Ok(())
}

/// What an operator would be told of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name and version.
    pub title: String,
    /// What it asks to be granted.
    pub requests: Vec<String>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
    /// The smoke cases that fail: the gateway would not let it in.
    pub failures: Vec<String>,
}

/// Says of the plugin in a folder what a gateway would that grants what it asks for.
///
/// # Errors
/// The gateway would not let it in.
pub async fn check(folder: &Path) -> Result<Checked, AuthorError> {
    let loaded = Trial::default().load(folder).await?;
    let manifest = loaded.plugin.manifest();
    let mut failures = Vec::new();
    for case in &manifest.smoke {
        let failed = failure(&loaded.plugin, case).await;
        failures.extend(failed.map(|detail| format!("{}: {detail}", case.name)));
    }
    Ok(Checked {
        title: format!("{} {}", manifest.plugin.name, manifest.plugin.version),
        requests: wishes::requested(&manifest.requests).into_iter().collect(),
        warnings: loaded.warnings,
        failures,
    })
}

/// Runs a case; returns why it failed.
async fn failure(plugin: &Plugin, case: &Case) -> Option<String> {
    if let Some(problem) = impossible_configuration(plugin.manifest(), case) {
        return Some(problem);
    }
    plugin.run_case(case).await.err().map(|failure| failure.detail)
}

/// A case with a configuration that no operator could write would prove nothing.
fn impossible_configuration(manifest: &Manifest, case: &Case) -> Option<String> {
    let schema = Value::Object(manifest.config.schema.clone()?);
    let faults = match schema::faults(&schema, case.config.as_ref()?, FAULTS_MAX) {
        Ok(faults) => faults,
        Err(error) => return Some(format!("config.schema is no JSON Schema: {error}")),
    };
    let faults: Vec<String> = faults
        .iter()
        .map(|fault| format!("config{}: {}", fault.pointer, fault.message))
        .collect();
    (!faults.is_empty()).then(|| faults.join("; "))
}

/// Reads `cases/*.toml`, in the order of their names.
fn case_files(folder: &Path) -> Result<Vec<(PathBuf, Vec<Case>)>, AuthorError> {
    let cases = folder.join("cases");
    let Ok(entries) = cases.read_dir() else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(AuthorError::io("read", &cases))?.file_name();
        let path = cases.join(&name);
        let is_toml = path.extension().is_some_and(|extension| extension == "toml");
        if is_toml && name != CONFIGURATION_FILE {
            let text = std::fs::read_to_string(&path).map_err(AuthorError::io("read", &path))?;
            files.push((Path::new("cases").join(&name), Case::parse_file(&path, &text)?));
        }
    }
    files.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(files)
}
