//! `${VAR}` and `${VAR:-default}` in a text, with `$$` for a dollar sign. No shell, no nesting, one pass:
//! what a variable contains is never expanded again.

use std::collections::BTreeMap;

/// Why a text does not expand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    /// The variable is not set and the text gives no default.
    #[error("variable `{0}` is not set: set it, or give a default with `${{{0}:-...}}`")]
    Missing(String),
    /// A `${` has no `}`.
    #[error("`${{` without `}}`: close it, or write `$$` for a dollar sign")]
    Open,
    /// What stands in the braces is neither `NAME` nor `NAME:-default`.
    #[error(
        "`${{...}}` holds a variable name, or a name and a default as in `${{NAME:-default}}`; write `$$` for a dollar sign"
    )]
    Malformed,
}

/// Fills the variables in. Returns everything that is wrong, not only the first thing.
pub(super) fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, Vec<ExpandError>> {
    let mut expanded = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                errors.push(ExpandError::Open);
                return Err(errors);
            };
            match fill(inside, variables) {
                Ok(value) => expanded.push_str(value),
                Err(error) => errors.push(error),
            }
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    if errors.is_empty() {
        Ok(expanded)
    } else {
        Err(errors)
    }
}

/// Whether the text has a `$NAME`, which looks like a variable and is none.
pub(super) fn has_bare_variable(text: &str) -> bool {
    let without_escapes = text.split("$$");
    without_escapes
        .flat_map(|part| part.split('$').skip(1))
        .any(|after| after.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
}

/// Returns the variable's name if the whole text is one `${NAME}` without a default.
pub(super) fn only_variable(text: &str) -> Option<&str> {
    text.strip_prefix("${")?
        .strip_suffix('}')
        .filter(|inside| is_name(inside))
}

fn fill<'a>(inside: &'a str, variables: &'a BTreeMap<String, String>) -> Result<&'a str, ExpandError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_name(name) || default.is_some_and(|default| default.contains("${")) {
        return Err(ExpandError::Malformed);
    }
    match (variables.get(name).map(String::as_str), default) {
        (None | Some(""), Some(default)) => Ok(default),
        (Some(value), _) => Ok(value),
        (None, None) => Err(ExpandError::Missing(name.to_owned())),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(is_name_character)
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, Vec<ExpandError>>) {
        let variables = [("A", "1"), ("B_2", "${A}"), ("EMPTY", "")];
        let variables = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(expand(text, &variables), expect.map(str::to_owned), "{text:?}");
    }

    #[test]
    fn expansion() {
        let missing = |name: &str| ExpandError::Missing(name.to_owned());
        check("plain", Ok("plain"));
        check("${A}", Ok("1"));
        check("x${A}y${A}z", Ok("x1y1z"));
        check("${B_2}", Ok("${A}"));
        check("${EMPTY}", Ok(""));
        check("${EMPTY:-e}", Ok("e"));
        check("${NONE:-}", Ok(""));
        check("${NONE:-a:-b c}", Ok("a:-b c"));
        check("${A:-d}", Ok("1"));
        check("$$", Ok("$"));
        check("$${A}", Ok("${A}"));
        check("$$$${A}", Ok("$${A}"));
        check("$$${A}", Ok("$1"));
        check("$HOME $ $1", Ok("$HOME $ $1"));
        check("$(rm -rf) `x` ; |", Ok("$(rm -rf) `x` ; |"));
        check(
            "${NONE} ${A} ${OTHER}",
            Err(vec![missing("NONE"), missing("OTHER")]),
        );
        check("${A", Err(vec![ExpandError::Open]));
        check("${NONE} ${", Err(vec![missing("NONE"), ExpandError::Open]));
        for malformed in ["${}", "${1A}", "${A-b}", "${A:?x}", "${ A }", "${:-d}"] {
            check(malformed, Err(vec![ExpandError::Malformed]));
        }
        check("${A:-${EMPTY}}", Err(vec![ExpandError::Malformed]));
    }

    #[test]
    fn what_only_looks_like_a_variable() {
        assert!(has_bare_variable("a $HOME/x"));
        assert!(!has_bare_variable("${HOME} $$HOME $1 $ costs $"));
        assert_eq!(only_variable("${KEY}"), Some("KEY"));
        for text in ["x${KEY}", "${KEY}x", "${KEY:-d}", "${A}${B}", "KEY", "${}"] {
            assert_eq!(only_variable(text), None, "{text}");
        }
    }

    #[test]
    fn errors_name_the_remedy() {
        assert_eq!(
            ExpandError::Missing("API_KEY".to_owned()).to_string(),
            "variable `API_KEY` is not set: set it, or give a default with `${API_KEY:-...}`"
        );
    }
}
