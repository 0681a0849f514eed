//! Finds one member of a JSON object without parsing the rest: all that the bare parts need of JSON.
//!
//! It trusts its input to be JSON. The yardstick may, because it promises nothing; the load client checks the
//! bytes that matter afterwards.

use std::ops::Range;

/// Returns where the value of the top-level member `name` stands, scanning no further than its end.
pub(crate) fn member(object: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut at = skip_space(object, 0);
    if object.get(at) != Some(&b'{') {
        return None;
    }
    at += 1;
    loop {
        at = skip_space(object, at);
        match object.get(at)? {
            b',' => at += 1,
            b'"' => {
                let key_end = string_end(object, at)?;
                let value = skip_space(object, skip_space(object, key_end) + 1);
                let value_end = value_end(object, value)?;
                if &object[at + 1..key_end - 1] == name {
                    return Some(value..value_end);
                }
                at = value_end;
            }
            _ => return None,
        }
    }
}

/// Returns the value of the top-level member `name`.
pub(crate) fn value<'a>(object: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    member(object, name).map(|span| &object[span])
}

fn skip_space(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn value_end(text: &[u8], from: usize) -> Option<usize> {
    match text.get(from)? {
        b'"' => string_end(text, from),
        b'{' | b'[' => nested_end(text, from),
        _ => scalar_end(text, from),
    }
}

fn scalar_end(text: &[u8], from: usize) -> Option<usize> {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
    text[from..].iter().position(ends).map(|length| from + length)
}

fn string_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn nested_end(text: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
