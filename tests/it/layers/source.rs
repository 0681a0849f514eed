//! One file of source as the rules see it: its tokens without comments and texts, and the paths that it names.

use std::path::Path;

/// A token of Rust, as far as the rules care: a word, or one character (`::` is one token).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// The line it stands on, from 1.
    pub(super) line: usize,
    /// The word or the sign.
    pub(super) text: String,
    /// Whether it belongs to code that only tests compile.
    pub(super) test: bool,
}

impl Token {
    fn is_word(&self) -> bool {
        self.text
            .starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// A path such as `crate::http::mcp` and where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPath {
    /// The line it stands on, from 1.
    pub(super) line: usize,
    /// Its segments. One that starts with `super` has been resolved where it leaves its room.
    pub(super) segments: Vec<String>,
}

/// A file of source.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Its path below `src`, with `/`.
    pub(super) place: String,
    /// Its text.
    pub(super) text: String,
    /// Its tokens.
    pub(super) tokens: Vec<Token>,
}

impl Source {
    /// Reads a text that stands at this place below `src`.
    pub(super) fn new(place: &str, text: &str) -> Self {
        let mut tokens = tokens(text);
        mark_tests(&mut tokens, is_test_file(place));
        Self {
            place: place.to_owned(),
            text: text.to_owned(),
            tokens,
        }
    }

    /// Returns its room: the module directly below the crate's root.
    pub(super) fn room(&self) -> &str {
        let first = self.place.split('/').next().unwrap_or(&self.place);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Returns every path that is named: those of `use` lines taken apart, and those within expressions and types.
    pub(super) fn paths(&self) -> Vec<NamedPath> {
        let mut paths = Vec::new();
        let mut modules = Modules::default();
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            modules.pass(&self.tokens[..=at]);
            let depth = depth(&self.place) + modules.open();
            let found = paths.len();
            if token.text == "use" && self.text_at(at + 1) != "<" {
                at = self.tree(at + 1, &mut Vec::new(), &mut paths);
            } else if token.is_word() && self.text_at(at + 1) == "::" {
                at = self.inline(at, &mut paths);
            } else {
                at += 1;
            }
            for path in &mut paths[found..] {
                leave_by_super(&mut path.segments, depth);
            }
        }
        paths
    }

    fn text_at(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    /// Takes a `use` tree apart from `at` on; returns where it ends.
    fn tree(&self, mut at: usize, prefix: &mut Vec<String>, paths: &mut Vec<NamedPath>) -> usize {
        let kept = prefix.len();
        loop {
            match self.text_at(at) {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while !matches!(self.text_at(at), "}" | ";" | "") {
                        at = self.tree(at, prefix, paths);
                        if self.text_at(at) == "," {
                            at += 1;
                        }
                    }
                    prefix.truncate(kept);
                    return at + 1;
                }
                "as" => at += 2,
                "," | "}" | ";" | "" => {
                    if prefix.len() > kept {
                        let line = self.tokens[at - 1].line;
                        paths.push(NamedPath {
                            line,
                            segments: prefix.clone(),
                        });
                    }
                    prefix.truncate(kept);
                    return at;
                }
                segment => {
                    prefix.push(segment.to_owned());
                    at += 1;
                }
            }
        }
    }

    /// Reads a path within code from `at` on; returns what follows it.
    fn inline(&self, mut at: usize, paths: &mut Vec<NamedPath>) -> usize {
        let line = self.tokens[at].line;
        let mut segments = vec![self.text_at(at).to_owned()];
        while self.text_at(at + 1) == "::" && self.tokens.get(at + 2).is_some_and(Token::is_word) {
            segments.push(self.text_at(at + 2).to_owned());
            at += 2;
        }
        paths.push(NamedPath { line, segments });
        at + 1
    }
}

/// Counts the modules that are open within a file, such as `mod tests { … }`.
#[derive(Default)]
struct Modules {
    braces: Vec<bool>,
}

impl Modules {
    /// Sees the next token, which is the last one of these.
    fn pass(&mut self, seen: &[Token]) {
        match seen {
            [.., keyword, _, brace] if brace.text == "{" => self.braces.push(keyword.text == "mod"),
            [.., brace] if brace.text == "{" => self.braces.push(false),
            [.., brace] if brace.text == "}" => drop(self.braces.pop()),
            _ => {}
        }
    }

    fn open(&self) -> usize {
        self.braces.iter().filter(|module| **module).count()
    }
}

/// Returns how many modules stand above the items of a file: 1 for `app.rs` and `http/mod.rs`, 2 for `http/mcp.rs`.
fn depth(place: &str) -> usize {
    match place {
        "lib.rs" | "main.rs" => 0,
        _ => place.split('/').count() - usize::from(place.ends_with("/mod.rs")),
    }
}

/// Writes `super::super::room` as `crate::room` where it climbs to the crate's root.
fn leave_by_super(segments: &mut Vec<String>, depth: usize) {
    let climbs = segments.iter().take_while(|segment| *segment == "super").count();
    if climbs > 0 && climbs >= depth {
        segments.splice(..climbs, ["crate".to_owned()]);
    }
}

fn is_test_file(place: &str) -> bool {
    Path::new(place)
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

/// Marks what follows `#[cfg(test)]` up to the end of its item.
fn mark_tests(tokens: &mut [Token], all: bool) {
    let mut at = 0;
    while at < tokens.len() {
        tokens[at].test |= all;
        if spells(&tokens[at..], &["#", "[", "cfg", "(", "test", ")", "]"])
            || spells(&tokens[at..], &["#", "[", "cfg", "(", "all", "(", "test"])
        {
            let end = at + item_length(&tokens[at..]);
            for token in &mut tokens[at..end] {
                token.test = true;
            }
            at = end;
        } else {
            at += 1;
        }
    }
}

/// Tells whether the tokens begin with these texts.
pub(super) fn spells(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && texts.iter().zip(tokens).all(|(text, token)| token.text == *text)
}

/// Returns how many tokens the item at the start has: up to its `;` or its closing brace.
fn item_length(tokens: &[Token]) -> usize {
    let mut open = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => open += 1,
            "}" | ")" | "]" => {
                open = open.saturating_sub(1);
                if open == 0 && token.text == "}" {
                    return index + 1;
                }
            }
            ";" if open == 0 => return index + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Splits a text into tokens; comments, texts, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or(0);
        let (taken, kept) = match length {
            0 if first.is_alphanumeric() || first == '_' => (word_length(rest), true),
            0 if rest.starts_with("::") => (2, true),
            0 => (first.len_utf8(), !first.is_whitespace()),
            length => (length, false),
        };
        if kept {
            tokens.push(Token {
                line,
                text: rest[..taken].to_owned(),
                test: false,
            });
        }
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    tokens
}

fn word_length(text: &str) -> usize {
    text.find(|next: char| !next.is_alphanumeric() && next != '_')
        .unwrap_or(text.len())
}

/// Returns the length of the comment, text, character or lifetime at the start, if there is one.
fn skipped(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if let Some(length) = raw_text(text) {
        return Some(length);
    }
    match text.strip_prefix(['b', 'c']).unwrap_or(text) {
        quoted if quoted.starts_with('"') => Some(text.len() - quoted.len() + quoted_length(quoted, '"')),
        quoted if quoted.starts_with('\'') => Some(text.len() - quoted.len() + after_apostrophe(quoted)),
        _ => None,
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn raw_text(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(inside.len(), |at| at + close.len());
    Some(text.len() - inside.len() + end)
}

fn quoted_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if next == quote => return at + next.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// A character such as `'x'` or `'\n'`; otherwise a lifetime, of which the word is taken too.
fn after_apostrophe(text: &str) -> usize {
    let mut after = text.chars().skip(1);
    match (after.next(), after.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted_length(text, '\''),
        _ => 1 + word_length(&text[1..]),
    }
}
