//! The opening handshake (RFC 6455 §4.2), and the token that a page can send with it.
//!
//! A page cannot set headers on a WebSocket, but it can offer subprotocols: besides `mcp` it offers `bearer.` and the
//! token in base64url without padding. A query string is no place for a token, because it ends up in logs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{
    AUTHORIZATION, CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::http::reply::{self, Response};

/// The subprotocol.
const MCP: &str = "mcp";
/// What an offered subprotocol that is a token begins with.
const BEARER: &str = "bearer.";
/// The version of the protocol that there is.
const VERSION: &str = "13";

/// What is to be said to a client that opens well.
#[derive(Debug)]
pub(super) struct Handshake {
    accept: String,
    /// It offered subprotocols, `mcp` among them.
    echoes: bool,
}

/// Returns whether a request wants to become a WebSocket.
pub(in crate::http) fn is_upgrade(method: &Method, headers: &HeaderMap) -> bool {
    let mut wanted = items(headers, UPGRADE.as_str());
    method == Method::GET && wanted.any(|item| item.eq_ignore_ascii_case("websocket"))
}

impl Handshake {
    /// Checks the headers of an upgrade.
    ///
    /// # Errors
    /// The answer: it is no handshake of version 13, or offers subprotocols and not `mcp`.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Box<Response>> {
        let refuse = |status, message| Err(Box::new(reply::refused(status, message)));
        if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(VERSION.as_bytes()) {
            let mut response = reply::refused(StatusCode::UPGRADE_REQUIRED, "send Sec-WebSocket-Version: 13");
            let version = HeaderValue::from_static(VERSION);
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, version);
            return Err(Box::new(response));
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let Some(key) = key.filter(|key| is_key(key)) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                "Sec-WebSocket-Key must be 16 bytes as base64",
            );
        };
        let echoes = offered(headers).any(|protocol| protocol == MCP);
        if !echoes && offered(headers).next().is_some() {
            let message = "the subprotocol here is mcp: send Sec-WebSocket-Protocol: mcp, or none";
            return refuse(StatusCode::BAD_REQUEST, message);
        }
        Ok(Self {
            accept: derive_accept_key(key),
            echoes,
        })
    }

    /// Returns the answer after which the connection is a WebSocket.
    pub(super) fn accept(self) -> Response {
        let mut response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
        let headers = response.headers_mut();
        let accept = HeaderValue::try_from(self.accept).expect("base64 is a header value");
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if self.echoes {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(MCP));
        }
        response
    }
}

/// Makes a token among the subprotocols the `Authorization` header that a page could not send. From here on the headers
/// are those that any other client would have sent.
///
/// # Errors
/// The answer: there is a header too, there are several tokens, or it is no base64url of visible characters.
pub(super) fn with_bearer(mut headers: HeaderMap) -> Result<HeaderMap, Box<Response>> {
    let tokens: Vec<&str> = offered(&headers)
        .filter_map(|protocol| protocol.strip_prefix(BEARER))
        .collect();
    let Some(token) = tokens.first() else {
        return Ok(headers);
    };
    let decoded = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let is_token = !decoded.is_empty() && decoded.iter().all(u8::is_ascii_graphic);
    if !is_token || tokens.len() > 1 || headers.contains_key(AUTHORIZATION) {
        let message = "one token is wanted: a header Authorization, or one subprotocol bearer.<base64url of the token, unpadded>";
        return Err(Box::new(reply::refused(StatusCode::BAD_REQUEST, message)));
    }
    let value = [b"Bearer ", &decoded[..]].concat();
    let mut value = HeaderValue::from_bytes(&value).expect("visible characters are a header value");
    value.set_sensitive(true);
    let others: Vec<&str> = offered(&headers)
        .filter(|protocol| !protocol.starts_with(BEARER))
        .collect();
    let others = HeaderValue::try_from(others.join(", ")).expect("parts of a header value are one");
    // A token alone is no offer of a protocol.
    match others.is_empty() {
        true => drop(headers.remove(SEC_WEBSOCKET_PROTOCOL)),
        false => drop(headers.insert(SEC_WEBSOCKET_PROTOCOL, others)),
    }
    headers.insert(AUTHORIZATION, value);
    Ok(headers)
}

/// The subprotocols that a client offers.
fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    items(headers, SEC_WEBSOCKET_PROTOCOL.as_str())
}

/// The items of a list that may be spread over several headers.
fn items<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> + use<'h> {
    let values = headers.get_all(name).into_iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.map(str::trim).filter(|item| !item.is_empty())
}

fn is_key(key: &[u8]) -> bool {
    let decoded = base64::engine::general_purpose::STANDARD.decode(key);
    decoded.is_ok_and(|bytes| bytes.len() == 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[track_caller]
    fn check(more: &[(&'static str, &str)], expect: Result<Option<&str>, StatusCode>) {
        let good = [("sec-websocket-version", "13"), ("sec-websocket-key", KEY)];
        let answer = Handshake::of(&headers(&[&good, more].concat())).map(Handshake::accept);
        let answer = answer.map_err(|response| response.status());
        let protocol = answer.as_ref().map(|response| {
            assert_eq!(
                response.headers()["sec-websocket-accept"],
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
            );
            let protocol = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
            protocol.map(|value| value.to_str().expect("text"))
        });
        assert_eq!(protocol, expect.as_ref().copied(), "{more:?}");
    }

    #[test]
    fn mcp_is_echoed_and_whoever_offers_others_alone_is_refused() {
        let protocol = |text| ("sec-websocket-protocol", text);
        check(&[], Ok(None));
        check(&[protocol("mcp")], Ok(Some("mcp")));
        check(&[protocol("chat, mcp")], Ok(Some("mcp")));
        check(&[protocol("chat"), protocol("mcp")], Ok(Some("mcp")));
        check(&[protocol("MCP")], Err(StatusCode::BAD_REQUEST));
        check(&[protocol("chat")], Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let status = |pairs: &[(&'static str, &str)]| {
            let refused = Handshake::of(&headers(pairs)).expect_err("it is refused");
            refused.status()
        };
        let key = ("sec-websocket-key", KEY);
        assert_eq!(status(&[key]), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(
            status(&[key, ("sec-websocket-version", "8")]),
            StatusCode::UPGRADE_REQUIRED
        );
        let version = ("sec-websocket-version", "13");
        assert_eq!(status(&[version]), StatusCode::BAD_REQUEST);
        assert_eq!(
            status(&[version, ("sec-websocket-key", "c2hvcnQ=")]),
            StatusCode::BAD_REQUEST
        );
    }

    #[test]
    fn a_token_among_the_subprotocols_becomes_the_header() {
        let protocol = |text| ("sec-websocket-protocol", text);
        let found = |pairs: &[(&'static str, &str)]| {
            let headers = with_bearer(headers(pairs)).map_err(|response| response.status())?;
            let text = |name| {
                headers
                    .get(name)
                    .map(|value: &HeaderValue| value.to_str().expect("text").to_owned())
            };
            Ok((text(AUTHORIZATION), text(SEC_WEBSOCKET_PROTOCOL)))
        };
        let pair = |token: Option<&str>, protocol: Option<&str>| {
            Ok((token.map(str::to_owned), protocol.map(str::to_owned)))
        };
        assert_eq!(found(&[protocol("mcp")]), pair(None, Some("mcp")));
        // "a-token"
        assert_eq!(
            found(&[protocol("mcp, bearer.YS10b2tlbg")]),
            pair(Some("Bearer a-token"), Some("mcp"))
        );
        assert_eq!(
            found(&[protocol("bearer.YS10b2tlbg")]),
            pair(Some("Bearer a-token"), None)
        );
        let refused = Err(StatusCode::BAD_REQUEST);
        for wrong in [
            "bearer.",
            "bearer.YS10b2tlbg==",
            "bearer.a+b",
            "bearer.Cg",
            "bearer.YQ, bearer.Yg",
        ] {
            assert_eq!(found(&[protocol(wrong)]), refused, "{wrong}");
        }
        assert_eq!(
            found(&[protocol("bearer.YQ"), ("authorization", "Bearer a")]),
            refused
        );
    }
}
