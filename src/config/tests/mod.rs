//! Tests of the whole room: text in, model or violations out. No test reads the
//! process's environment, except the one that can write the schema.

mod api;
mod files;
mod loading;
mod mangled;
mod modes;
mod plugins;
mod remote;
mod tables;
mod violations;

use std::path::{Path, PathBuf};

use super::{Config, Loaded, Loader};

/// A directory of its own that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("portcullis-config-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    /// Makes a directory with these files.
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = Self::new();
        for (name, text) in files {
            directory.write(name, text);
        }
        directory
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a parent")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A loader with this directory as working directory and home.
    fn loader(&self, variables: &[(&str, &str)]) -> Loader {
        Loader {
            environment: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            working_dir: Some(self.0.clone()),
            home: Some(self.0.join("home")),
            ..Loader::default()
        }
    }

    /// Writes this directory's path as `DIR`.
    fn abridge(&self, text: &str) -> String {
        text.replace(&self.0.display().to_string(), "DIR")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left of a failed clean-up is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Loads one file.
fn load(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let directory = Directory::with(&[(name, text)]);
    let loader = Loader {
        file: Some(Path::new(name).to_owned()),
        ..directory.loader(variables)
    };
    loader.load().map_err(|error| {
        error
            .to_string()
            .lines()
            .map(|line| directory.abridge(line))
            .collect()
    })
}

/// Loads the embedded defaults alone.
fn defaults() -> Config {
    let loader = Loader {
        flags: vec![("state-dir".to_owned(), "/state".to_owned())],
        ..Loader::default()
    };
    loader.load().expect("the defaults are valid").config
}
