//! URIs that say plainly what they name. A pattern judges the text of a URI; one that spells the same resource in another
//! way would pass by it: `file:///public/../etc/passwd`, `file:///%65tc/passwd`, `file://localhost/etc/passwd`.

/// Tells whether a URI (or URI template) has none of the spellings that RFC 3986 calls equivalent to another: capitals in
/// the scheme or host, `.` and `..` as segments, escapes of characters that need none; and neither empty segments nor
/// backslashes, spaces, control characters, nor a fragment, which many servers read as something else or not at all. A file
/// has no host and no query, a web address neither a user nor a port that it has anyway.
pub fn is_plain(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else {
        return false;
    };
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let has_plain_host = match scheme {
        "file" => rest.starts_with("///") && query.is_empty(),
        "http" => is_plain_host(host, ":80"),
        "https" => is_plain_host(host, ":443"),
        // What stands there in other schemes is a name of the server's own, whose case may matter.
        _ => true,
    };
    let is_odd = |character: char| {
        character.is_control() || character.is_whitespace() || matches!(character, '\\' | '#')
    };
    let is_ambiguous = has_capitals(scheme)
        || uri.contains(is_odd)
        || path.contains("//")
        || path.split('/').any(|segment| matches!(segment, "." | ".."));
    has_plain_host && !is_ambiguous && escapes_are_needed(uri)
}

fn has_capitals(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_plain_host(host: &str, usual_port: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    !name.is_empty()
        && !name.ends_with('.')
        && !has_capitals(host)
        && !host.contains('@')
        && !host.ends_with(':')
        && !host.ends_with(usual_port)
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
            .and_then(|digits| core::str::from_utf8(digits).ok())
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
            "https://example.com:8080/a/b.txt?q=../x",
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
            "file:/etc/passwd",
            "file:etc/passwd",
            "file://localhost/etc/passwd",
            "file://files.example/etc/passwd",
            "file:///etc/passwd?x",
            "file:///etc/passwd#x",
            "file:///etc/passwd ",
            "https:/example.com/secret",
            "https:example.com/secret",
            "https://user@example.com/secret",
            "https://example.com:443/secret",
            "http://example.com:80/secret",
            "https://example.com:/secret",
            "https://example.com./secret",
            "https://example.com/secret#x",
            "note://inbox/1#x",
            "no scheme",
            "",
        ] {
            assert!(!is_plain(uri), "{uri}");
        }
    }
}
