//! What a client takes: the `Accept` and `Content-Type` headers.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};

/// The media types that matter here.
pub(super) const JSON: &str = "application/json";
/// Server-sent events.
pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// Returns whether a media type is acceptable, by name or by wildcard.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let (kind, _) = wanted.split_once('/').expect("a media type has a slash");
    ranges(headers).any(|range| range == wanted || range == "*/*" || range.strip_suffix("/*") == Some(kind))
}

/// Returns whether a media type is acceptable by name.
pub(super) fn names(headers: &HeaderMap, wanted: &str) -> bool {
    ranges(headers).any(|range| range == wanted)
}

/// Returns whether the body is JSON, whatever its parameters.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case(JSON)
}

/// Returns whether the body is what it says, and not compressed.
pub(super) fn is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The media ranges of all `Accept` headers, without those of quality zero.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            quality.is_some_and(|quality| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0))
        });
        (!refused && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expect: (bool, bool)) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a value"));
        assert_eq!(
            (accepts(&headers, JSON), accepts(&headers, EVENT_STREAM)),
            expect,
            "{accept}"
        );
    }

    #[test]
    fn names_wildcards_and_qualities() {
        check("application/json, text/event-stream", (true, true));
        check("Application/JSON;q=0.5,text/event-stream;q=0.9", (true, true));
        check("*/*", (true, true));
        check("application/*", (true, false));
        check("text/event-stream;q=0, application/json", (true, false));
        check("text/html", (false, false));
        assert!(!accepts(&HeaderMap::new(), JSON));
    }

    #[test]
    fn a_compressed_body_is_not_plain() {
        let mut headers = HeaderMap::new();
        assert!(is_plain(&headers));
        headers.append(CONTENT_ENCODING, "Identity".parse().expect("a value"));
        assert!(is_plain(&headers));
        headers.append(CONTENT_ENCODING, "gzip".parse().expect("a value"));
        assert!(!is_plain(&headers));
    }

    #[test]
    fn content_types() {
        let check = |value: &str, expect| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().expect("a value"));
            assert_eq!(is_json(&headers), expect, "{value}");
        };
        check("application/json", true);
        check("application/json; charset=utf-8", true);
        check("text/plain", false);
        check("application/json-patch+json", false);
        assert!(!is_json(&HeaderMap::new()));
    }
}
