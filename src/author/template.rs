//! Text with gaps: `{{name}}` is replaced; lines between `%if a|b` and `%end` stay where one of the words is on.

/// Fills a template. `is_on` knows the words, `values` the gaps.
///
/// Templates are part of this program: a wrong one is a bug, and panics.
pub(super) fn fill(template: &str, is_on: impl Fn(&str) -> bool, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut open: Vec<bool> = Vec::new();
    for line in template.lines() {
        if let Some(words) = line.strip_prefix("%if ") {
            open.push(words.split('|').any(&is_on));
        } else if line == "%end" {
            open.pop().expect("%end follows %if");
        } else if open.iter().all(|is_open| *is_open) {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(open.is_empty(), "every %if has its %end");
    for (gap, value) in values {
        text = text.replace(&format!("{{{{{gap}}}}}"), value);
    }
    assert!(!text.contains("{{"), "every gap has its value");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_lines_chosen() {
        let template = "{{a}}\n%if x|y\n1\n%if z\n2\n%end\n%end\n%if z\n3\n%end\n4\n";
        let filled = |word: &str| fill(template, |asked| asked == word, &[("a", "b")]);
        assert_eq!(filled("y"), "b\n1\n4\n");
        assert_eq!(filled("z"), "b\n3\n4\n");
        assert_eq!(filled(""), "b\n4\n");
    }

    #[test]
    #[should_panic(expected = "every gap has its value")]
    fn a_forgotten_gap_is_a_bug() {
        fill("{{a}}", |_| true, &[]);
    }
}
