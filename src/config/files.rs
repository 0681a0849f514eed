//! The files of a configuration: which there are, and what they say.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::document::Format;
use super::keys::SERVERS;
use super::layers::Layer;
use super::normalise::{Role, normalise};
use super::violation::{Findings, Place};

/// The name of the main file without its extension.
const NAME: &str = "portcullis";
/// The directory beside the main file with more servers.
const SERVERS_DIRECTORY: &str = "servers.d";
/// The most bytes of one file.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// The most files of `servers.d`.
const FILES_MAX: usize = 4_096;

/// Finds the main file in the first of these directories that has one.
pub(super) fn find(directories: &[PathBuf], findings: &Findings) -> Option<PathBuf> {
    for directory in directories {
        let candidates = Format::EXTENSIONS.map(|extension| directory.join(format!("{NAME}.{extension}")));
        let mut present = candidates.into_iter().filter(|path| path.is_file());
        if let Some(found) = present.next() {
            for other in present {
                let message = format!(
                    "`{}` is there too: keep one of them, or name it with `--config`",
                    found.display()
                );
                findings.refuse(&Place::File(other.into()), "", message);
            }
            return Some(found);
        }
    }
    None
}

/// Reads the main file, if there is one, and every file of the directory of servers. `beside` is the
/// directory in which that directory is.
pub(super) fn read_all(main: Option<&Path>, beside: Option<&Path>, findings: &Findings) -> Vec<Layer> {
    let mut layers: Vec<Layer> = main
        .and_then(|path| read(path, Role::Configuration, findings))
        .into_iter()
        .collect();
    for path in beside
        .map(|directory| files_in(&directory.join(SERVERS_DIRECTORY), findings))
        .unwrap_or_default()
    {
        layers.extend(read(&path, Role::Servers, findings));
    }
    refuse_differences(&layers, findings);
    layers
}

/// Lists the files of the directory of servers by name. Hidden files are passed over in silence.
fn files_in(directory: &Path, findings: &Findings) -> Vec<PathBuf> {
    let place = Place::File(directory.into());
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => Err(error),
    };
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            findings.refuse(&place, "", format!("cannot be read: {error}"));
            return Vec::new();
        }
    };
    let is_hidden = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    let paths = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path));
    let (mut files, others): (Vec<_>, Vec<_>) =
        paths.partition(|path| Format::of(path).is_some() && !path.is_dir());
    for other in others {
        findings.warn(
            &Place::File(other.into()),
            "",
            "is passed over: servers are read from .toml, .json, .yaml and .yml files",
        );
    }
    if files.len() > FILES_MAX {
        let count = files.len();
        findings.refuse(
            &place,
            "",
            format!("has {count} files, the most is {FILES_MAX}: one file can hold several servers"),
        );
        files.clear();
    }
    files.sort();
    files
}

fn read(path: &Path, role: Role, findings: &Findings) -> Option<Layer> {
    let place = Place::File(path.into());
    let document = match (Format::of(path), text_of(path)) {
        (None, _) => Err("its extension is none of .toml, .json, .yaml and .yml: rename it".to_owned()),
        (_, Err(error)) => Err(format!("cannot be read: {error}")),
        // What a write leaves that was cut short, and it would let everybody in.
        (Some(_), Ok(text)) if role == Role::Configuration && text.trim().is_empty() => {
            Err("is empty: if nothing is to be set, write a comment".to_owned())
        }
        (Some(format), Ok(text)) => format.parse(&text),
    };
    match document {
        Ok(document) => Some(Layer {
            values: normalise(document, role, &place, findings),
            place,
        }),
        Err(message) => {
            findings.refuse(&place, "", message);
            None
        }
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        // Of a pipe one would wait for the end.
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it has more than 16 MiB"));
    }
    Ok(text)
}

/// Refuses a server that two files define differently; which one wins would be chance.
fn refuse_differences(layers: &[Layer], findings: &Findings) {
    let mut first: BTreeMap<&str, (&Place, &Value)> = BTreeMap::new();
    for layer in layers {
        let servers = layer.values.get(SERVERS).and_then(Value::as_object);
        for (name, server) in servers.into_iter().flatten() {
            let (place, known) = first.entry(name).or_insert((&layer.place, server));
            if *known != server {
                let message = format!("`{place}` defines this server differently: keep one of the two");
                findings.refuse(&layer.place, format!("{SERVERS}.{name}"), message);
            }
        }
    }
}
