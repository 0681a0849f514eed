//! The way of one request to the admin API: checked, routed, read, answered.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::path::FullPath;

use super::super::body::BodyLimits;
use super::super::entrance::Entrance;
use super::super::reply::Response;
use super::super::routes::not_found;
use super::body::Body;
use super::error::AdminError;
use super::events::{self, EventRequest};
use super::guard::{Guard, Operator};
use super::operation::{self, Operation};
use super::{openapi, plugins, servers, sessions, status};
use crate::gateway::Gateway;
use crate::plugin::Roster;

/// Where the API lives.
const PREFIX: &str = "/admin/v1";

/// What an admin API is made of.
#[derive(Debug)]
pub struct AdminOptions<'a> {
    /// What it administers.
    pub gateway: Arc<Gateway>,
    /// Its plugins, if it has any.
    pub roster: Option<Arc<Roster>>,
    /// Which principals may do something here.
    pub entrance: Arc<Entrance>,
    /// The keys of the configuration that have changed and hold after a restart only.
    pub needs_restart: watch::Receiver<Vec<String>>,
    /// The address of its listener.
    pub listen: SocketAddr,
    /// Its bearer token.
    pub token: &'a str,
    /// Cancelled when it has stopped: streams of events end.
    pub stopped: CancellationToken,
}

/// What every request to the admin API needs.
#[derive(Debug, Clone)]
pub struct AdminContext {
    pub(super) gateway: Arc<Gateway>,
    pub(super) roster: Option<Arc<Roster>>,
    pub(super) needs_restart: watch::Receiver<Vec<String>>,
    pub(super) stopped: CancellationToken,
    guard: Arc<Guard>,
}

impl AdminContext {
    /// Returns the context of one listener.
    pub fn new(options: AdminOptions<'_>) -> Self {
        let AdminOptions {
            gateway,
            roster,
            entrance,
            needs_restart,
            listen,
            token,
            stopped,
        } = options;
        let guard = Guard::new(listen, gateway.config(), entrance, token);
        Self {
            gateway,
            roster,
            needs_restart,
            stopped,
            guard: Arc::new(guard),
        }
    }
}

/// Returns the routes of a listener that serves the admin API alone.
pub(in crate::http) fn routes(context: AdminContext) -> BoxedFilter<(Response,)> {
    endpoint(context).recover(not_found).unify().boxed()
}

/// Returns the admin API before other routes.
pub(in crate::http) fn routes_before(
    context: AdminContext,
    others: BoxedFilter<(Response,)>,
) -> BoxedFilter<(Response,)> {
    endpoint(context).or(others).unify().boxed()
}

fn endpoint(context: AdminContext) -> BoxedFilter<(Response,)> {
    let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
    warp::path("admin")
        .and(warp::path("v1"))
        .and(warp::path::full())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(query)
        .and(warp::body::stream())
        .then(move |path: FullPath, method, headers, query, body| {
            let context = context.clone();
            async move {
                let request = Request {
                    path: path.as_str().strip_prefix(PREFIX).unwrap_or_default(),
                    method,
                    headers,
                    query,
                };
                finish(context.answer(&request, body).await)
            }
        })
        .boxed()
}

/// A request before its body.
struct Request<'a> {
    path: &'a str,
    method: Method,
    headers: HeaderMap,
    query: String,
}

impl AdminContext {
    async fn answer<B: Buf, E>(
        &self,
        request: &Request<'_>,
        body: impl Stream<Item = Result<B, E>>,
    ) -> Result<Response, AdminError> {
        let operator = self.guard.check(&request.headers)?;
        let (operation, parameter) = operation::find(&request.method, request.path)?;
        if let Operator::Deputy(deputy) = &operator {
            deputy.check(&self.gateway, operation, parameter).await?;
        }
        let body = Body::read(&request.headers, body, self.limits()).await?;
        if request.method != Method::GET && self.gateway.is_draining() {
            return Err(AdminError::Draining);
        }
        match operation {
            Operation::Register => return servers::register(self, &body).await,
            Operation::Patch => return servers::patch(self, parameter, &body).await,
            _ => body.is_nothing()?,
        }
        let gateway = &*self.gateway;
        match operation {
            Operation::Events => {
                let request = EventRequest::read(&request.headers, &request.query)?;
                Ok(events::stream(self, request))
            }
            Operation::OpenApi => Ok(openapi::document()),
            Operation::Status => Ok(status::show(self)),
            Operation::ListServers => Ok(match operator {
                Operator::Admin => servers::list(&gateway.registry().servers()),
                Operator::Deputy(deputy) => servers::list(&deputy.servers(gateway).await?),
            }),
            Operation::ShowServer => servers::show(gateway, parameter),
            Operation::Unregister => servers::unregister(gateway, parameter).await,
            Operation::Stderr => servers::stderr(gateway, parameter),
            Operation::ServerSessions => sessions::of_server(gateway, parameter),
            Operation::ListSessions => Ok(sessions::list(gateway)),
            Operation::ListPlugins => Ok(plugins::list(self)),
            Operation::ReloadPlugins => plugins::reload(self).await,
            Operation::ReloadPlugin => plugins::reload_one(self, parameter).await,
            Operation::EndSession => sessions::end(gateway, parameter),
            order => servers::order(gateway, order, parameter).await,
        }
    }

    fn limits(&self) -> BodyLimits {
        let http = &self.gateway.config().http;
        BodyLimits {
            bytes_max: http.body_max,
            timeout: http.body_timeout,
            announced: 0,
        }
    }
}

/// What is shown here is nobody else's, and nothing that a browser should interpret.
fn finish(answer: Result<Response, AdminError>) -> Response {
    let mut response = answer.unwrap_or_else(|error| {
        debug!(%error, "admin request refused");
        error.to_response()
    });
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}
