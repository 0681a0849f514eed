//! Extension `skills`: one skill, its files, and the directories that they lie in.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::mock::message::invalid_params;
use crate::protocol::reply::ErrorObject;

pub(super) const EXTENSION: &str = "io.modelcontextprotocol/skills";

const DIRECTORY: &str = "inode/directory";
const NAME: &str = "greeting";
const DESCRIPTION: &str = "How to greet whoever comes by";
const URI: &str = "skill://greeting/SKILL.md";

/// The files of the skill: where they lie, and what they say.
const FILES: [(&str, &str); 2] = [
    (
        URI,
        "---\nname: greeting\ndescription: How to greet whoever comes by\n---\n\n# Greeting\n\nSay hello. See references/words.md.\n",
    ),
    (
        "skill://greeting/references/words.md",
        "hello, good morning, welcome\n",
    ),
];

/// A file or a directory in a directory: URI, name, type.
type Child = (&'static str, &'static str, &'static str);

/// The directories, and what is directly in them.
const DIRECTORIES: [(&str, &[Child]); 2] = [
    (
        "skill://greeting",
        &[
            (URI, "SKILL.md", "text/markdown"),
            ("skill://greeting/references", "references", DIRECTORY),
        ],
    ),
    (
        "skill://greeting/references",
        &[(
            "skill://greeting/references/words.md",
            "words.md",
            "text/markdown",
        )],
    ),
];

/// What is said of the skill, made once.
#[derive(Debug)]
pub(super) struct Skills {
    entry: Value,
}

impl Skills {
    pub(super) fn new() -> Self {
        let resources: Vec<Value> = FILES.iter().map(|(uri, text)| resource(uri, text)).collect();
        let frontmatter = json!({ "name": NAME, "description": DESCRIPTION });
        Self {
            entry: json!({ "uri": URI, "frontmatter": frontmatter, "resources": resources }),
        }
    }

    pub(super) fn list(&self) -> String {
        json!({ "skills": [self.entry] }).to_string()
    }

    /// Returns the skill of this URI.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn get(&self, uri: &str) -> Result<String, ErrorObject> {
        if uri != URI {
            return Err(not_found("skill", uri));
        }
        Ok(json!({ "skill": self.entry }).to_string())
    }

    /// Returns what is in a directory.
    ///
    /// # Errors
    /// There is no such directory.
    pub(super) fn directory(&self, uri: &str) -> Result<String, ErrorObject> {
        let found = DIRECTORIES.iter().find(|(of, _)| *of == uri);
        let (_, children) = found.ok_or_else(|| not_found("directory", uri))?;
        let child = |(uri, name, kind): &Child| json!({ "uri": uri, "name": name, "mimeType": kind });
        let resources: Vec<Value> = children.iter().map(child).collect();
        Ok(json!({ "resources": resources }).to_string())
    }

    /// Returns the content of a file, if it is one of a skill.
    pub(super) fn read(&self, uri: &str) -> Option<String> {
        let (_, text) = FILES.iter().find(|(of, _)| *of == uri)?;
        let content = json!({ "uri": uri, "mimeType": "text/markdown", "text": text });
        Some(json!({ "contents": [content] }).to_string())
    }
}

/// Returns whether a URI is one of a skill: those are of this era only.
pub(crate) fn is_skill(uri: &Value) -> bool {
    uri.as_str().is_some_and(|uri| uri.starts_with("skill://"))
}

fn resource(uri: &str, text: &str) -> Value {
    let digest: String = Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({ "uri": uri, "digest": format!("sha256:{digest}"), "size": text.len() })
}

fn not_found(what: &str, uri: &str) -> ErrorObject {
    invalid_params(format!("there is no such {what}")).with_data(json!({ "uri": uri }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_says_what_the_file_says() {
        let skills = Skills::new();
        let read: Value = serde_json::from_str(&skills.read(URI).unwrap()).unwrap();
        let text = read["contents"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(&format!("---\nname: {NAME}\ndescription: {DESCRIPTION}\n---\n")));
        let got: Value = serde_json::from_str(&skills.get(URI).unwrap()).unwrap();
        assert_eq!(got["skill"]["resources"][0]["size"], text.len());
        assert!(skills.get("skill://other/SKILL.md").is_err());
    }

    #[test]
    fn every_file_lies_in_a_directory_and_a_file_is_none() {
        let skills = Skills::new();
        for (directory, children) in DIRECTORIES {
            assert!(skills.directory(directory).is_ok());
            assert!(skills.read(directory).is_none());
            for (uri, ..) in children {
                assert_eq!(skills.directory(uri).is_ok(), skills.read(uri).is_none(), "{uri}");
            }
        }
    }
}
