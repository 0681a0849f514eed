//! A server that is reached by its URL instead of being started.

use std::collections::BTreeMap;

use url::Url;

use super::choice::Choice;
use super::scope::Scope;
use super::secret::{Expanded, HIDDEN, shown_secret};
use super::texts::Texts;
use super::tree::Node;

/// Where a remote server is and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSpec {
    /// An absolute URL of http, https, ws or wss with a host and without a fragment. It may hold secrets.
    pub url: Expanded,
    /// How it is spoken to. [`RemoteTransport::WebSocket`] exactly where the URL says so.
    pub transport: RemoteTransport,
    /// Headers of every request; their values are secret.
    pub headers: BTreeMap<String, Expanded>,
}

/// How a remote server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteTransport {
    /// Streamable HTTP, or else HTTP+SSE: whichever the server answers.
    Auto,
    /// Streamable HTTP (2025-03-26 and later).
    StreamableHttp,
    /// HTTP+SSE (2024-11-05).
    HttpSse,
    /// WebSocket, with the subprotocol `mcp`.
    WebSocket,
}

/// What `type` may say; the first is a server that is started.
impl Choice for Option<RemoteTransport> {
    const NAMES: &'static [&'static str] = &["stdio", "http", "streamable-http", "sse", "ws", "websocket"];
    const VALUES: &'static [Self] = &[
        None,
        Some(RemoteTransport::StreamableHttp),
        Some(RemoteTransport::StreamableHttp),
        Some(RemoteTransport::HttpSse),
        Some(RemoteTransport::WebSocket),
        Some(RemoteTransport::WebSocket),
    ];
}

/// Headers that the transport sets itself.
const HEADERS_OF_OURS: [&str; 17] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "accept",
    "expect",
    "keep-alive",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl RemoteSpec {
    /// Reads what says where a server is, if it is remote. Whoever is both or neither is refused here.
    pub(super) fn read(scope: &Scope<'_>, texts: &Texts<'_>) -> Option<Self> {
        let refuse =
            |key: &str, message: &str| texts.findings.refuse(scope.place(key), scope.path(key), message);
        let pinned: Option<Option<RemoteTransport>> = scope.leaf("type").map(|_| scope.choice("type"));
        let Some(url) = texts.one(scope, "url") else {
            if scope.node("url").is_none() && scope.node("command").is_none() {
                refuse(
                    "command",
                    "is missing: give the program that is the server, or the `url` of a remote one",
                );
            }
            if scope.node("headers").is_some_and(is_filled) {
                refuse(
                    "headers",
                    "belongs to a remote server: give its `url`, or remove it",
                );
            }
            if matches!(pinned, Some(Some(_))) && scope.node("command").is_some() {
                refuse(
                    "type",
                    "is that of a remote server, and this one has a `command`: remove one of the two",
                );
            }
            return None;
        };
        for key in ["command", "args", "env", "cwd"] {
            if scope.node(key).is_some_and(is_filled) {
                refuse(
                    key,
                    "belongs to a server that is started, and this one has a `url`: remove one of the two",
                );
            }
        }
        if pinned == Some(None) {
            refuse(
                "type",
                "is that of a server that is started, and this one has a `url`: remove it",
            );
        }
        let headers = texts.table(scope, "headers");
        let parsed = parse(url.value());
        check_headers(&headers, parsed.as_ref().ok(), scope, texts);
        let transport = parsed.map(|url| transport_of(&url, pinned.flatten()));
        let transport = match transport {
            Ok(fits) => fits.map_err(|message| refuse("type", message)).ok(),
            Err(message) => {
                refuse("url", &message);
                None
            }
        };
        Some(Self {
            url,
            transport: transport.unwrap_or(RemoteTransport::Auto),
            headers,
        })
    }

    /// Returns the URL as it may be shown: without a name, a password or a query, which may be secret.
    pub(super) fn shown_url(&self) -> String {
        shown_url(self.url.template())
    }

    /// Returns the headers as they may be shown.
    pub(super) fn shown_headers(&self) -> BTreeMap<&str, &str> {
        self.headers
            .iter()
            .map(|(name, text)| (name.as_str(), shown_secret(text.template())))
            .collect()
    }
}

/// Returns a URL's template without what may be secret in it. Variables are shown by name.
pub(super) fn shown_url(template: &str) -> String {
    let (rest, has_query) = match template.split_once('?') {
        Some((rest, query)) if !is_variables(query) => (rest, true),
        _ => (template, false),
    };
    let shown = match rest.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            match rest[..end].rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{}", &rest[end..]),
                None => format!("{scheme}://{rest}"),
            }
        }
        None => rest.to_owned(),
    };
    if has_query {
        format!("{shown}?{HIDDEN}")
    } else {
        shown
    }
}

/// Returns whether two URLs lead to one scheme, host and port.
pub(super) fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

/// Returns whether every value of a query is one variable.
fn is_variables(query: &str) -> bool {
    query.split('&').all(|pair| {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        shown_secret(value) == value
    })
}

/// Whether a value says something: other programs write `"args": []` for remote servers too.
fn is_filled(node: &Node) -> bool {
    match node {
        Node::Table(table) => !table.entries.is_empty(),
        Node::Leaf(leaf) => leaf.value.as_array().is_none_or(|list| !list.is_empty()),
    }
}

/// Reads a URL. The error never holds it.
fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("is not a URL such as \"https://mcp.example/mcp\": {error}"))?;
    if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
        return Err("must begin with https://, http://, wss:// or ws://".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment, which no server is sent: remove what follows `#`".to_owned());
    }
    Ok(url)
}

fn transport_of(url: &Url, pinned: Option<RemoteTransport>) -> Result<RemoteTransport, &'static str> {
    let is_socket = matches!(url.scheme(), "ws" | "wss");
    match pinned {
        None if is_socket => Ok(RemoteTransport::WebSocket),
        None => Ok(RemoteTransport::Auto),
        Some(RemoteTransport::WebSocket) if !is_socket => {
            Err("is WebSocket, so the `url` must begin with wss:// or ws://")
        }
        Some(transport) if is_socket && transport != RemoteTransport::WebSocket => {
            Err("does not fit the `url`, which is that of a WebSocket: remove it, or write \"ws\"")
        }
        Some(transport) => Ok(transport),
    }
}

fn check_headers(
    headers: &BTreeMap<String, Expanded>,
    url: Option<&Url>,
    scope: &Scope<'_>,
    texts: &Texts<'_>,
) {
    let has_credentials = url.is_some_and(|url| !url.username().is_empty() || url.password().is_some());
    for (name, value) in headers {
        let refuse = |message: &str| {
            let key = format!("{}.{name}", scope.path("headers"));
            texts.findings.refuse(scope.place("headers"), key, message);
        };
        let lower = name.to_ascii_lowercase();
        if HEADERS_OF_OURS.contains(&lower.as_str())
            || lower.starts_with("sec-websocket-")
            || lower.starts_with("mcp-param-")
        {
            refuse("is set by the transport itself: remove it");
        }
        if lower == "authorization" && has_credentials {
            refuse("is given by the `url` too, which has a name or a password: remove one of the two");
        }
        if !value
            .value()
            .bytes()
            .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
        {
            refuse("holds a control character, which no header may");
        }
    }
    let mut names: Vec<String> = headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        let message = "names a header twice, in different spellings: remove one of the two";
        texts
            .findings
            .refuse(scope.place("headers"), scope.path("headers"), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        let check = |template: &str, expect: &str| assert_eq!(shown_url(template), expect);
        check("https://a.example/mcp", "https://a.example/mcp");
        check(
            "https://me:secret@a.example:8443/mcp",
            "https://***@a.example:8443/mcp",
        );
        check("https://${USER}:${KEY}@a.example", "https://***@a.example");
        check("https://me@x@a.example/@b", "https://***@a.example/@b");
        check(
            "https://a.example/mcp?key=secret&x=1",
            "https://a.example/mcp?***",
        );
        check(
            "https://a.example/mcp?key=${KEY}",
            "https://a.example/mcp?key=${KEY}",
        );
        check("https://a.example/${PLACE}/mcp", "https://a.example/${PLACE}/mcp");
        check("${URL}", "${URL}");
    }
}
