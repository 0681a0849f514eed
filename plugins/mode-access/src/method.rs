//! Which capability a method of MCP belongs to.

/// Methods that carry the protocol itself, and belong to no capability.
const PROTOCOL: &[&str] = &[
    "initialize",
    "ping",
    "server/discover",
    "subscriptions/listen",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/subscriptions/acknowledged",
];

/// Methods that make no sense without the thing that they are about.
const ABOUT_ONE_THING: &[&str] = &[
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "notifications/resources/updated",
    "tasks/get",
    "tasks/update",
    "tasks/result",
    "tasks/cancel",
    "notifications/tasks/status",
];

/// Returns the capability that a method belongs to, or none where it is the protocol's own.
///
/// A capability is called as in `initialize`, which is the first part of its methods but for `completion/complete` and
/// the log. A method that nobody has heard of is its own capability, so that it has to be allowed by name.
pub fn capability(method: &str) -> Option<&str> {
    if PROTOCOL.contains(&method) {
        return None;
    }
    let path = method.strip_prefix("notifications/").unwrap_or(method);
    Some(match path.split_once('/').map_or(path, |(first, _)| first) {
        "completion" => "completions",
        "message" => "logging",
        first => first,
    })
}

/// Tells whether a method must name a tool, prompt, resource or task.
pub fn names_something(method: &str) -> bool {
    ABOUT_ONE_THING.contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_belong_to_the_capability_that_initialize_announces() {
        for (method, expected) in [
            ("tools/call", "tools"),
            ("resources/templates/list", "resources"),
            ("completion/complete", "completions"),
            ("logging/setLevel", "logging"),
            ("notifications/message", "logging"),
            ("notifications/tools/list_changed", "tools"),
            ("notifications/resources/updated", "resources"),
            ("notifications/roots/list_changed", "roots"),
            ("notifications/tasks", "tasks"),
            ("sampling/createMessage", "sampling"),
            ("elicitation/create", "elicitation"),
            ("tasks/result", "tasks"),
        ] {
            assert_eq!(capability(method), Some(expected), "{method}");
        }
    }

    #[test]
    fn the_protocol_belongs_to_none() {
        for method in PROTOCOL {
            assert_eq!(capability(method), None, "{method}");
        }
    }

    #[test]
    fn what_only_looks_like_the_protocol_has_to_be_allowed() {
        for (method, expected) in [
            ("initialize/x", "initialize"),
            ("Ping", "Ping"),
            ("notifications/ping", "ping"),
            ("notifications/notifications/initialized", "notifications"),
            ("server/other", "server"),
            ("unheard", "unheard"),
            ("", ""),
        ] {
            assert_eq!(capability(method), Some(expected), "{method}");
        }
    }
}
