//! `--url`: the configuration of a gateway in front of one remote server.

use anyhow::Context;
use serde_json::{Map, Value};

use super::super::ConfigArgs;
use super::super::serve;
use crate::config::Loader;

/// The name of the server.
pub(super) const NAME: &str = "remote";

/// Returns what loads it. Only a file that is named counts, for its limits and policies: what lies about is not meant.
pub(super) fn loader(options: &ConfigArgs, url: &str, headers: &[String]) -> anyhow::Result<Loader> {
    let is_alone = options.config.is_none();
    anyhow::ensure!(
        !(is_alone && options.listen.is_some()),
        "--url serves one client; to listen as well, name a configuration with --config"
    );
    let loader = serve::loader(options)?;
    let mut fields = Map::new();
    for header in headers {
        let (name, value) = header
            .split_once(':')
            .with_context(|| format!("--header {header}: write --header 'NAME: VALUE'"))?;
        fields.insert(name.trim().to_ascii_lowercase(), Value::from(value.trim()));
    }
    let flag = |key: &str, value: String| (format!("servers.{NAME}.{key}"), value);
    let ours = [
        flag("url", url.to_owned()),
        flag("headers", Value::Object(fields).to_string()),
        // The one client is whom the server asks back.
        flag("sharing", "session".to_owned()),
    ];
    Ok(match is_alone {
        true => with_flags(without_files(loader), ours),
        false => with_flags(loader, ours),
    })
}

fn with_flags(loader: Loader, first: impl IntoIterator<Item = (String, String)>) -> Loader {
    // What the command line sets counts more.
    let flags = first.into_iter().chain(loader.flags).collect();
    Loader { flags, ..loader }
}

/// Returns a loader that finds no file, and a gateway that has no directory: it keeps nothing.
fn without_files(loader: Loader) -> Loader {
    let nowhere = std::env::temp_dir().join("portcullis-keeps-nothing");
    let path = |name: &str| nowhere.join(name).display().to_string();
    let mut environment = loader.environment;
    environment.remove("XDG_CONFIG_HOME");
    let directories = [
        ("state-dir".to_owned(), path("state")),
        ("plugin-host.dir".to_owned(), path("plugins")),
    ];
    let loader = Loader {
        environment,
        working_dir: None,
        home: None,
        ..loader
    };
    with_flags(loader, directories)
}

#[cfg(test)]
mod tests {
    use super::loader as loader_of;
    use super::*;

    #[test]
    fn headers_become_a_table_and_later_flags_count_more() {
        let options = ConfigArgs {
            config: None,
            listen: None,
            set: vec!["servers.remote.sharing=shared".to_owned()],
        };
        let headers = ["Authorization: Bearer ${TOKEN}".to_owned(), "X-A:b: c".to_owned()];
        let loader = loader_of(&options, "http://localhost/mcp", &headers).expect("they are well written");
        let value = |key: &str| {
            let of_key = loader.flags.iter().rfind(|(name, _)| name == key);
            of_key.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("servers.remote.url"), Some("http://localhost/mcp"));
        let table = r#"{"authorization":"Bearer ${TOKEN}","x-a":"b: c"}"#;
        assert_eq!(value("servers.remote.headers"), Some(table));
        assert_eq!(value("servers.remote.sharing"), Some("shared"));
        assert!(loader_of(&options, "http://localhost", &["nonsense".to_owned()]).is_err());
    }
}
