//! What the admin API can do, and under which method and path: one table, which the OpenAPI document repeats.

use http::Method;

use super::error::AdminError;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Status,
    ListServers,
    Register,
    ShowServer,
    Patch,
    Unregister,
    Start,
    Stop,
    Restart,
    Enable,
    Disable,
    ServerSessions,
    Stderr,
    ListSessions,
    EndSession,
    ListPlugins,
    ReloadPlugins,
    ReloadPlugin,
    Events,
    OpenApi,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// The path below `/admin/v1`; what stands in braces is a parameter.
    pub(super) path: &'static str,
    pub(super) operation: Operation,
}

const fn route(method: Method, path: &'static str, operation: Operation) -> Route {
    Route {
        method,
        path,
        operation,
    }
}

/// The table.
pub(super) const ROUTES: &[Route] = &[
    route(Method::GET, "/status", Operation::Status),
    route(Method::GET, "/servers", Operation::ListServers),
    route(Method::POST, "/servers", Operation::Register),
    route(Method::GET, "/servers/{name}", Operation::ShowServer),
    route(Method::PATCH, "/servers/{name}", Operation::Patch),
    route(Method::DELETE, "/servers/{name}", Operation::Unregister),
    route(Method::POST, "/servers/{name}/start", Operation::Start),
    route(Method::POST, "/servers/{name}/stop", Operation::Stop),
    route(Method::POST, "/servers/{name}/restart", Operation::Restart),
    route(Method::POST, "/servers/{name}/enable", Operation::Enable),
    route(Method::POST, "/servers/{name}/disable", Operation::Disable),
    route(Method::GET, "/servers/{name}/sessions", Operation::ServerSessions),
    route(Method::GET, "/servers/{name}/stderr", Operation::Stderr),
    route(Method::GET, "/sessions", Operation::ListSessions),
    route(Method::DELETE, "/sessions/{handle}", Operation::EndSession),
    route(Method::GET, "/plugins", Operation::ListPlugins),
    route(Method::POST, "/plugins/reload", Operation::ReloadPlugins),
    route(Method::POST, "/plugins/{name}/reload", Operation::ReloadPlugin),
    route(Method::GET, "/events", Operation::Events),
    route(Method::GET, "/openapi.json", Operation::OpenApi),
];

/// Finds the operation of a request and the parameter in its path, which is empty if it has none.
pub(super) fn find<'p>(method: &Method, path: &'p str) -> Result<(Operation, &'p str), AdminError> {
    let mut allowed = Vec::new();
    for route in ROUTES {
        let Some(parameter) = parameter(route.path, path) else {
            continue;
        };
        if route.method == *method {
            return Ok((route.operation, parameter));
        }
        allowed.push(route.method.as_str());
    }
    match allowed.as_slice() {
        [] => Err(AdminError::NotFound(format!("/admin/v1{path}"))),
        allowed => Err(AdminError::MethodNotAllowed(allowed.join(", "))),
    }
}

/// Returns the parameter if the path is of that pattern. Names and handles need no escapes, so none are read.
fn parameter<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let (mut parameter, mut pattern, mut path) = ("", pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return Some(parameter),
            (Some(slot), Some(segment)) if slot.starts_with('{') && !segment.is_empty() => {
                parameter = segment
            }
            (Some(slot), Some(segment)) if slot == segment => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_operations() {
        let check = |method: Method, path: &str, expect: Result<(Operation, &str), &str>| {
            let found = find(&method, path);
            let found = found
                .as_ref()
                .map(|found| *found)
                .map_err(|error| error.to_string());
            assert_eq!(found, expect.map_err(str::to_owned), "{method} {path}");
        };
        check(Method::GET, "/servers", Ok((Operation::ListServers, "")));
        check(Method::DELETE, "/servers/a", Ok((Operation::Unregister, "a")));
        check(Method::POST, "/servers/a/stop", Ok((Operation::Stop, "a")));
        check(Method::DELETE, "/sessions/0a", Ok((Operation::EndSession, "0a")));
        let nothing = |path: &str| {
            format!("there is nothing at /admin/v1{path}; GET /admin/v1/openapi.json says what there is")
        };
        for path in [
            "",
            "/",
            "/servers/",
            "/servers/a/",
            "/servers/a/explode",
            "/servers//stop",
            "/x",
        ] {
            check(Method::GET, path, Err(&nothing(path)));
        }
        check(
            Method::PUT,
            "/servers/a",
            Err("this method is not allowed here, but GET, PATCH, DELETE is"),
        );
    }
}
