//! `plugin test`: the smoke cases of the manifest and the cases in `cases/`, run in the host itself.

use std::path::{Path, PathBuf};

use super::error::AuthorError;
use super::trial::{self, CONFIGURATION_FILE, TrialOptions};
use crate::plugin::PluginEngine;
use crate::plugin::case::Case;
use crate::plugin::manifest::MANIFEST_FILE;
use crate::plugin::smoke::CaseFailure;

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file that it stands in, below the plugin's folder.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// Why it failed, if it did.
    pub failure: Option<CaseFailure>,
}

/// Runs all cases of the plugin in a folder, in their order; calls `report` after each.
///
/// # Errors
/// A file of cases cannot be used, or the plugin cannot be loaded.
pub async fn run(folder: &Path, mut report: impl FnMut(&CaseReport)) -> Result<(), AuthorError> {
    let engine = PluginEngine::new().map_err(|error| AuthorError::Refused(error.to_string()))?;
    let files = case_files(folder)?;
    let plugin = trial::load(folder, engine, TrialOptions::default()).await?;
    let smoke = (PathBuf::from(MANIFEST_FILE), plugin.manifest().smoke.clone());
    for (file, cases) in std::iter::once(smoke).chain(files) {
        for case in cases {
            report(&CaseReport {
                failure: plugin.run_case(&case).await.err(),
                file: file.clone(),
                name: case.name,
            });
        }
    }
    Ok(())
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
        let is_cases =
            path.extension().is_some_and(|extension| extension == "toml") && name != CONFIGURATION_FILE;
        if is_cases {
            let text = std::fs::read_to_string(&path).map_err(AuthorError::io("read", &path))?;
            files.push((Path::new("cases").join(&name), Case::parse_file(&path, &text)?));
        }
    }
    files.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(files)
}
