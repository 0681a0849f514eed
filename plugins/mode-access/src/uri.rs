//! URIs that say plainly what they name. A pattern judges the text of a URI; one that spells the same resource in another
//! way would pass by it: `file:///public/../etc/passwd`, `file:///%65tc/passwd`, `FILE:///etc/passwd`.

/// Tells whether a URI (or URI template) has none of the spellings that RFC 3986 calls equivalent to another: capitals in
/// the scheme or host, `.` and `..` as segments, escapes of characters that need none; and neither empty segments nor
/// backslashes nor control characters, which many servers read as something else.
pub fn is_plain(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    let has_capitals = |text: &str| text.bytes().any(|byte| byte.is_ascii_uppercase());
    // What stands there in other schemes is a name of the server's own, whose case may matter.
    let has_host = matches!(scheme, "file" | "http" | "https");
    let is_ambiguous = has_capitals(scheme)
        || (has_host && has_capitals(host))
        || uri.contains(|character: char| character.is_control() || character == '\\')
        || path.contains("//")
        || path.split('/').any(|segment| matches!(segment, "." | ".."));
    !is_ambiguous && escapes_are_needed(uri)
}

/// Tells whether each `%` begins an escape, in capitals, of a character that cannot stand for itself. An escaped `/` or
/// `\` is not plain either: some servers decode it before they split the path.
fn escapes_are_needed(uri: &str) -> bool {
    uri.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        let digits = digits.filter(|digits| {
            digits
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'))
        });
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_some_and(|byte| {
            let stands_for_itself = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            !stands_for_itself && !byte.is_ascii_control() && !matches!(byte, b'/' | b'\\')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_uris_are_plain() {
        for uri in [
            "file:///etc/hosts",
            "file:///with%20space/%C3%A9",
            "https://example.com:8080/a/b.txt?q=../x#y",
            "https://example.com",
            "test://template/{id}/data",
            "file:///{+path}",
            "ui://widget/main.html",
            "urn:isbn:0451450523",
            "note://Inbox/1",
            "file:///A/Capital/in.the.path",
            "file:///trailing/",
            "file:///..hidden/a..b",
        ] {
            assert!(is_plain(uri), "{uri}");
        }
    }

    #[test]
    fn other_spellings_of_the_same_are_not() {
        for uri in [
            "file:///public/../etc/passwd",
            "file:///public/./x",
            "file:///..",
            "file:///public/%2e%2e/etc",
            "file:///public/%2E./etc",
            "file:///%65tc/passwd",
            "file:///a%2Fb",
            "file:///a%5Cb",
            "file:///%c3%a9",
            "file:///%00",
            "file:///half%4",
            "file:///no%zz",
            "file:////etc/passwd",
            "file:///public//x",
            "FILE:///etc/passwd",
            "https://EXAMPLE.com/",
            "file:///a\\b",
            "file:///a\nb",
            "no scheme",
            "",
        ] {
            assert!(!is_plain(uri), "{uri}");
        }
    }
}
