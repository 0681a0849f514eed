//! "Did you mean": the known word that is closest to a mistyped one.

/// Returns the candidate nearest to `word`, if one is near enough to be meant: a third of its letters
/// may differ, a swap of two neighbours counts once.
pub(super) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(WORD_CHARACTERS_MAX).collect();
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer words are no typing errors of our keys; the comparison is quadratic.
const WORD_CHARACTERS_MAX: usize = 64;

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row; right.len() + 1];
        for column in 1..=right.len() {
            let replaced = above[column - 1] + usize::from(left[row - 1] != right[column - 1]);
            current[column] = replaced.min(above[column] + 1).min(current[column - 1] + 1);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                current[column] = current[column].min(before[column - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expect: Option<&str>) {
        assert_eq!(
            closest(word, ["command", "args", "env", "idle-timeout", "ping-timeout"]),
            expect,
            "{word:?}"
        );
    }

    #[test]
    fn suggestions() {
        check("comand", Some("command"));
        check("cmomand", Some("command"));
        check("Command", Some("command"));
        check("arg", Some("args"));
        check("idel-timeout", Some("idle-timeout"));
        check("idletimeout", Some("idle-timeout"));
        check("evn", Some("env"));
        check("banana", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }
}
