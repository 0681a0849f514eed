//! What a command prints. What servers and clients said of themselves cannot steer the terminal.

use std::io::{self, Write};

use serde_json::Value;

/// Prints lines.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Prints JSON for people.
pub(super) fn print_json(value: &Value) -> io::Result<()> {
    print(&json(
        &serde_json::to_string_pretty(value).expect("a JSON value becomes text"),
    ))
}

/// Returns an error with its causes, each once: many of ours tell theirs themselves.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

/// Returns JSON text with the control characters that JSON itself leaves alone, which stand in strings, escaped.
pub(super) fn json(text: &str) -> String {
    let escape = |character: char| match character {
        '\u{7f}'..='\u{9f}' => format!("\\u{:04x}", u32::from(character)),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Returns the text with its control characters written out.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escaped = character.is_control().then(|| character.escape_unicode());
            let plain = (!character.is_control()).then_some(character);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Returns a member as text for a cell: `-` where there is none.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => visible(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("no such file");
        let says_it = anyhow::Error::new(cause()).context("cannot read x: no such file");
        assert_eq!(told(&says_it), "cannot read x: no such file");
        let does_not = anyhow::Error::new(cause()).context("cannot read x");
        assert_eq!(told(&does_not), "cannot read x: no such file");
    }

    #[test]
    fn control_characters_are_written_out() {
        let text = json!({ "a": "\u{1b}\u{9b}é" });
        let escaped = json(&text.to_string());
        assert_eq!(escaped, r#"{"a":"\u001b\u009bé"}"#);
        assert_eq!(serde_json::from_str::<Value>(&escaped).expect("still JSON"), text);
        assert_eq!(visible("a\u{1b}[2Jb\u{9b}é\t"), "a\\u{1b}[2Jb\\u{9b}é\\u{9}");
        assert_eq!(
            [cell(&json!(null)), cell(&json!("x")), cell(&json!(3))],
            ["-", "x", "3"]
        );
    }
}
