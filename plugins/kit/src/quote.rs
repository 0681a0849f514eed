//! Texts in quotes, as JSON has them: for messages, and for whatever is read by a machine.

use alloc::string::String;

/// Returns a text as JSON. What cannot be seen is escaped, so that nobody is deceived by what he reads in a log.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if is_invisible(character) => escape(u32::from(character), &mut quoted),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Tells whether a character is for control, has no width, ends a line or turns the direction of reading.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

fn escape(code: u32, quoted: &mut String) {
    quoted.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        let digit = char::from_digit(code >> shift & 0xf, 16);
        quoted.push(digit.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Value;

    #[test]
    fn what_is_quoted_is_json_and_can_be_seen() {
        for (text, expected) in [
            ("", r#""""#),
            ("a \"b\" \\ é 漢 😀", r#""a \"b\" \\ é 漢 😀""#),
            ("1\n2\r3\t4", r#""1\n2\r3\t4""#),
            ("\0\u{1b}[0m\u{7f}", r#""\u0000\u001b[0m\u007f""#),
            ("\u{202e}txt\u{feff}", r#""\u202etxt\ufeff""#),
        ] {
            assert_eq!(quoted(text), expected);
            assert_eq!(Value::parse(expected), Ok(Value::Text(text.into())));
        }
    }
}
