//! The routes of the main listener.

use std::convert::Infallible;
use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use tokio_util::task::TaskTracker;
use warp::filters::BoxedFilter;
use warp::{Filter, Rejection};

use super::admin::{self, AdminContext};
use super::entrance::Entrance;
use super::mcp::Endpoint;
use super::origin::OriginPolicy;
use super::reply::Response;
use super::{health, mcp, reply, websocket};
use crate::config::Config;
use crate::gateway::Gateway;

/// What every request needs.
#[derive(Debug, Clone)]
pub struct HttpContext {
    /// Where messages go.
    pub gateway: Arc<Gateway>,
    /// The limits.
    pub config: Arc<Config>,
    /// Who may ask from where.
    pub origins: Arc<OriginPolicy>,
    /// Who asks, and in which mode.
    pub entrance: Arc<Entrance>,
    /// Who reaps the tasks of WebSockets.
    pub sockets: TaskTracker,
}

/// Returns the routes of a listener that serves the admin API alone.
pub fn admin_routes(context: AdminContext) -> BoxedFilter<(Response,)> {
    admin::routes(context)
}

/// Returns the routes: the endpoints of the servers, those for health, and the admin API where it is served here too.
pub fn routes(context: HttpContext, admin: Option<AdminContext>) -> BoxedFilter<(Response,)> {
    let routes = public_routes(context);
    match admin {
        Some(admin) => admin::routes_before(admin, routes),
        None => routes,
    }
}

fn public_routes(context: HttpContext) -> BoxedFilter<(Response,)> {
    let mcp_context = context.clone();
    let query = warp::query::raw().or_else(|_| async { Ok::<_, Infallible>((String::new(),)) });
    let mcp_path = || {
        warp::path("mcp")
            .and(warp::path::param::<String>())
            .and(warp::path::end())
    };
    let in_mode = warp::path("modes")
        .and(warp::path::param::<String>())
        .and(mcp_path())
        .map(|mode, path| Endpoint {
            mode: Some(mode),
            path,
        });
    let endpoint = mcp_path()
        .map(|path| Endpoint { mode: None, path })
        .or(in_mode)
        .unify()
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(query)
        .and(warp::body::stream())
        .and(warp::ext::optional::<OnUpgrade>())
        .then(
            move |endpoint, method, headers: HeaderMap, query, body, on_upgrade| {
                let context = mcp_context.clone();
                async move {
                    if websocket::is_upgrade(&method, &headers) {
                        let upgrading = websocket::handle(context, endpoint, headers, query, on_upgrade);
                        return Box::pin(upgrading).await;
                    }
                    let origin = headers.get(header::ORIGIN).cloned();
                    let response = mcp::handle(context, endpoint, method, headers, query, body).await;
                    with_cors(response, origin)
                }
            },
        );
    endpoint
        .or(health_routes(context))
        .unify()
        .recover(not_found)
        .unify()
        .boxed()
}

fn health_routes(context: HttpContext) -> BoxedFilter<(Response,)> {
    let ready_context = context.clone();
    // The path first: a wrong method is only worth mentioning where there is something.
    let healthz = warp::path!("healthz").and(warp::get()).map(health::healthz);
    let readyz = warp::path!("readyz")
        .and(warp::get())
        .map(move || health::readyz(&ready_context));
    let of_server = warp::path!("health" / String)
        .and(warp::get())
        .map(move |name: String| health::of_server(&context, &name));
    healthz.or(readyz).unify().or(of_server).unify().boxed()
}

/// The end of all routes: a rejection only ever means that none of them matched.
pub(super) async fn not_found(rejection: Rejection) -> Result<Response, Infallible> {
    let method = rejection.find::<warp::reject::MethodNotAllowed>().is_some();
    Ok(match method {
        true => reply::method_not_allowed("GET"),
        false => reply::refused(
            StatusCode::NOT_FOUND,
            "there is nothing here; servers are at /mcp/{name}",
        ),
    })
}

/// Lets a page read the answer, if its origin was accepted.
fn with_cors(mut response: Response, origin: Option<HeaderValue>) -> Response {
    let Some(origin) = origin else { return response };
    if response.status() == StatusCode::FORBIDDEN {
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let set = |headers: &mut HeaderMap, name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value))
    };
    set(
        headers,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Mcp-Session-Id, X-Session-Id, WWW-Authenticate",
    );
    set(
        headers,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        "GET, POST, DELETE, OPTIONS",
    );
    set(
        headers,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Accept, Mcp-Session-Id, MCP-Protocol-Version, Last-Event-ID, X-Session-Id, \
         Mcp-Method, Mcp-Name, X-Portcullis-Mode, *",
    );
    set(headers, header::ACCESS_CONTROL_MAX_AGE, "600");
    response
}
