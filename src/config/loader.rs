//! Loading: all layers in, a valid configuration out, or everything that is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files;
use super::keys::{PLUGINS, PRINCIPALS, ROUTES, SERVERS};
use super::layers::{Layer, merge, names_in_order};
use super::model::Config;
use super::origins::Origins;
use super::reading::{Surroundings, read};
use super::violation::{ConfigError, Findings, Place, Violation};

/// What a configuration is loaded from. The default is the embedded defaults alone: no file is looked
/// for, no variable is set, and there is no home, so a state directory must come by a flag.
#[derive(Clone, Default)]
pub struct Loader {
    /// The file to read; `None` looks for one in the working directory and in the user's configuration
    /// directory, and does without if there is none.
    pub file: Option<PathBuf>,
    /// Key paths such as `http.body-max` and what they are set to, as text; later ones over earlier ones.
    pub flags: Vec<(String, String)>,
    /// The environment: for `PORTCULLIS__SECTION__KEY`, for `${VAR}` and for the XDG directories.
    pub environment: BTreeMap<String, String>,
    /// What relative paths start from and where a file is looked for.
    pub working_dir: Option<PathBuf>,
    /// The user's home.
    pub home: Option<PathBuf>,
}

/// Shows which variables there are, not what they contain.
impl std::fmt::Debug for Loader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Loader")
            .field("file", &self.file)
            .field(
                "flags",
                &self.flags.iter().map(|(key, _)| key).collect::<Vec<_>>(),
            )
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .field("working_dir", &self.working_dir)
            .field("home", &self.home)
            .finish()
    }
}

/// Returns the environment of this process. Variables that are not Unicode are passed over.
pub fn process_environment() -> BTreeMap<String, String> {
    let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(unicode).collect()
}

/// A configuration that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where each value came from.
    pub origins: Origins,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Violation>,
    /// The main file, if there was one.
    pub file: Option<PathBuf>,
}

impl Loader {
    /// Loads from the environment, the working directory and the home of this process.
    pub fn for_process() -> Self {
        Self {
            environment: process_environment(),
            working_dir: std::env::current_dir().ok(),
            home: std::env::home_dir().filter(|home| home.is_absolute()),
            ..Self::default()
        }
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        self.load_without(&[])
    }

    /// Reads and checks what concerns the gateway alone: for commands that talk to a running one, in a shell that
    /// need not have the variables of its servers, principals and plugins.
    ///
    /// # Errors
    /// Everything that is wrong with that, at once.
    pub fn load_gateway(&self) -> Result<Loaded, ConfigError> {
        self.load_without(&[SERVERS, PRINCIPALS, PLUGINS, ROUTES])
    }

    fn load_without(&self, sections: &[&str]) -> Result<Loaded, ConfigError> {
        let findings = Findings::default();
        let file = match &self.file {
            Some(file) => Some(self.absolute(file)),
            None => files::find(&self.directories(), &findings),
        };
        let beside = file
            .as_deref()
            .and_then(Path::parent)
            .or(self.working_dir.as_deref());
        let mut layers = vec![Layer::defaults()];
        layers.extend(files::read_all(file.as_deref(), beside, &findings));
        let from_environment = Layer::environment(&self.environment, &layers, &findings);
        layers.extend(from_environment);
        layers.extend(
            self.flags
                .iter()
                .map(|(key, text)| Layer::flag(key, text, &findings)),
        );
        for layer in &mut layers {
            layer.values.retain(|name, _| !sections.contains(&name.as_str()));
        }
        let merged = merge(&layers);
        let working_dir = self.working_dir.as_deref().unwrap_or(Path::new(""));
        let surroundings = Surroundings {
            variables: &self.environment,
            state_dir: self
                .directory("XDG_STATE_HOME", ".local/state")
                .map(|directory| directory.join("portcullis")),
            working_dir,
            file_dir: beside.unwrap_or(working_dir),
            plugin_order: &names_in_order(&layers, PLUGINS),
            findings: &findings,
        };
        let config = read(&merged, &surroundings);
        Self::warn_of_nothing(&config, file.as_deref(), &findings);
        let (config, warnings) = findings
            .conclude(config)
            .map_err(|violations| ConfigError { violations })?;
        let origins = Origins::of(&merged, &config);
        Ok(Loaded {
            config,
            origins,
            warnings,
            file,
        })
    }

    /// Returns where a file is looked for.
    fn directories(&self) -> Vec<PathBuf> {
        let user = self
            .directory("XDG_CONFIG_HOME", ".config")
            .map(|directory| directory.join("portcullis"));
        self.working_dir.clone().into_iter().chain(user).collect()
    }

    /// Returns an XDG directory. The specification wants relative ones ignored.
    fn directory(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let named = self
            .environment
            .get(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        named.or_else(|| self.home.as_ref().map(|home| home.join(below_home)))
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        self.working_dir
            .as_ref()
            .map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }

    fn warn_of_nothing(config: &Config, file: Option<&Path>, findings: &Findings) {
        if config.servers.is_empty() {
            let place = file.map_or(Place::Default, |file| Place::File(file.into()));
            findings.warn(
                &place,
                "servers",
                "there are none: add one, or register one through the admin API",
            );
        }
    }
}
