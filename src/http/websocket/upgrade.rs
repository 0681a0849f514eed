//! From a request to a session on a socket.

use http::{HeaderMap, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::debug;

use super::handshake::{Handshake, with_bearer};
use super::talk::{Carrier, Talk};
use crate::gateway::{GatewayError, Link};
use crate::http::mcp::{Endpoint, McpRequest};
use crate::http::reply::{self, Response};
use crate::http::routes::HttpContext;
use crate::http::socket::Socket;
use crate::http::stream::not_opened;
use crate::http::traffic::Traffic;
use crate::session::{OutboxReader, Transport};

/// Handles a request to become a WebSocket. `on_upgrade` is there where the connection can.
pub(in crate::http) async fn handle(
    context: HttpContext,
    endpoint: Endpoint,
    headers: HeaderMap,
    query: String,
    on_upgrade: Option<OnUpgrade>,
) -> Response {
    match open(&context, endpoint, headers, &query).await {
        Err(response) => *response,
        Ok(opened) => match on_upgrade {
            Some(on_upgrade) => opened.begin(&context, on_upgrade),
            None => reply::refused(
                StatusCode::BAD_REQUEST,
                "this connection cannot become a WebSocket",
            ),
        },
    }
}

/// A session whose socket is about to be there.
struct Opened {
    handshake: Handshake,
    link: Link,
    reader: OutboxReader,
    headers: HeaderMap,
}

async fn open(
    context: &HttpContext,
    endpoint: Endpoint,
    headers: HeaderMap,
    query: &str,
) -> Result<Opened, Box<Response>> {
    let headers = with_bearer(headers)?;
    let request = McpRequest::admit(context, endpoint, &headers, query)?;
    if !request.names_known_modern_version() {
        request.check_version()?;
    }
    let handshake = Handshake::of(&headers)?;
    let gateway = &context.gateway;
    if gateway.is_draining() {
        return Err(Box::new(not_opened(&GatewayError::Stopping)));
    }
    let pinned = request.pin();
    let place = (request.target, request.caller);
    let opened = Link::open(gateway, place, pinned.as_ref(), Transport::WebSocket).await;
    let (link, reader) = opened.map_err(|error| Box::new(not_opened(&error)))?;
    Ok(Opened {
        handshake,
        link,
        reader,
        headers,
    })
}

impl Opened {
    /// Answers the client; as soon as it has that, the session goes on by itself, and ends with its socket.
    fn begin(self, context: &HttpContext, on_upgrade: OnUpgrade) -> Response {
        let carrier = Carrier::of(&context.config.http);
        let limit = context.config.http.header_timeout;
        let talk = Talk::new(self.link, self.headers);
        let reader = self.reader;
        context.sockets.spawn(async move {
            let Ok(Ok(upgraded)) = tokio::time::timeout(limit, on_upgrade).await else {
                return debug!("a client went away before its connection was a WebSocket");
            };
            let Ok(parts) = upgraded.downcast::<TokioIo<Socket<Traffic>>>() else {
                return debug!("a connection of another kind");
            };
            let socket = carrier
                .open(parts.io.into_inner().upgraded(), parts.read_buf)
                .await;
            talk.hold(socket, reader, carrier.keep_alive).await;
        });
        self.handshake.accept()
    }
}
