//! The configuration: layers of text in, valid plain data out.
//!
//! [`Loader::load`] takes the embedded defaults, a file of TOML, JSON or YAML, the files of `servers.d`,
//! the environment and flags. Each is brought to one spelling (`normalise`), then they are merged
//! (`layers`; figment is used there and for reading documents, nowhere else), then one pass checks the
//! merged values against the table of `keys` and makes the model of them (`reading`, `server`). Whatever
//! is wrong is reported at once, with its place, its key and a remedy; a [`Config`] cannot be wrong.
//!
//! Servers that are registered while the gateway runs take the last of these steps alone, and nothing
//! expands in them (`api`).
//!
//! Secrets and the values of variables are never shown: not by `Debug`, not in errors, not in [`Origins`].

mod choice;
mod mode;
mod model;
mod name;
mod plugin;
mod remote;
mod route;
mod secret;
mod server;
mod units;

mod document;
mod files;
mod layers;
mod loader;
mod normalise;
mod tree;

mod api;
mod expand;
mod keys;
mod kind;
mod plugin_keys;
mod reading;
mod scope;
mod server_keys;
mod suggest;
mod texts;

mod json_schema;
mod origins;
mod restart;
mod violation;

#[cfg(test)]
mod tests;

pub use choice::{
    Choice, ClientFeature, LogFormat, PidNamespace, ProtocolEra, RegistryAccess, Sharing, ValidateArguments,
    name_of,
};
pub use json_schema::json_schema;
pub use loader::{Loaded, Loader, process_environment};
pub use mode::{ModeAccess, Modes};
pub use model::{
    AdminConfig, AnonymousConfig, CacheConfig, Config, EventConfig, HttpConfig, LogConfig, PrincipalConfig,
    RequestConfig, SessionConfig, SupervisionConfig, TOKEN_BYTES_MIN,
};
pub use name::{NAME_CHARACTERS_MAX, Name, NameError, OfPrincipal, OfServer, PrincipalName, ServerName};
pub use origins::{Origin, Origins};
pub use plugin::{
    Activate, Grants, HttpGrant, Isolation, OnError, PluginHostConfig, PluginLimits, PluginSpec,
};
pub use remote::{RemoteSpec, RemoteTransport};
pub use route::{RouteServer, RouteSpec, Routes};
pub use secret::{Expanded, ExpandedJson, Secret};
pub use server::{RestartPolicy, SELF_COMMAND, ServerDefaults, ServerSpec};
pub use units::{format_duration, format_size, parse_duration, parse_size};
pub use violation::{ConfigError, Place, Violation};
