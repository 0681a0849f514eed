//! The names of the specification that more than one room needs: methods, headers, error codes.

/// Methods and notifications, by their names on the wire (MCP 2025-11-25, "Schema").
pub mod method {
    /// Opens a handshake-era session.
    pub const INITIALIZE: &str = "initialize";
    /// Ends the handshake.
    pub const INITIALIZED: &str = "notifications/initialized";
    /// Answered by whoever receives it.
    pub const PING: &str = "ping";
    /// Takes back a request.
    pub const CANCELLED: &str = "notifications/cancelled";
    /// Reports how far a request has come.
    pub const PROGRESS: &str = "notifications/progress";
    /// A log message of the server.
    pub const LOG_MESSAGE: &str = "notifications/message";
    /// Sets the least severe level that the server logs.
    pub const SET_LEVEL: &str = "logging/setLevel";
    /// Lists tools.
    pub const TOOLS_LIST: &str = "tools/list";
    /// Calls a tool.
    pub const TOOLS_CALL: &str = "tools/call";
    /// Lists resources.
    pub const RESOURCES_LIST: &str = "resources/list";
    /// Lists resource templates.
    pub const TEMPLATES_LIST: &str = "resources/templates/list";
    /// Reads a resource.
    pub const READ: &str = "resources/read";
    /// Asks for `notifications/resources/updated`.
    pub const SUBSCRIBE: &str = "resources/subscribe";
    /// Takes a subscription back.
    pub const UNSUBSCRIBE: &str = "resources/unsubscribe";
    /// Lists prompts.
    pub const PROMPTS_LIST: &str = "prompts/list";
    /// Gets a prompt.
    pub const PROMPTS_GET: &str = "prompts/get";
    /// Completes an argument of a prompt or resource template.
    pub const COMPLETE: &str = "completion/complete";
    /// Asks the client's model.
    pub const SAMPLING: &str = "sampling/createMessage";
    /// Asks how far a task has come.
    pub const TASKS_GET: &str = "tasks/get";
    /// Lists tasks.
    pub const TASKS_LIST: &str = "tasks/list";
    /// Gets the result of a task: that of the request that began it.
    pub const TASKS_RESULT: &str = "tasks/result";
    /// Ends a task.
    pub const TASKS_CANCEL: &str = "tasks/cancel";
    /// Asks what a server speaks and can do (2026-07-28).
    pub const DISCOVER: &str = "server/discover";
    /// Asks for notifications, for as long as it is open (2026-07-28).
    pub const LISTEN: &str = "subscriptions/listen";
    /// The first word on what was asked for by [`LISTEN`].
    pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    /// Asks the client's user.
    pub const ELICIT: &str = "elicitation/create";
    /// Asks for the client's roots.
    pub const ROOTS_LIST: &str = "roots/list";
    /// Gives a task what it waits for (2026-07-28, extension `tasks`).
    pub const TASKS_UPDATE: &str = "tasks/update";
    /// How far a task has come (2026-07-28, extension `tasks`).
    pub const TASKS_STATUS: &str = "notifications/tasks";
    /// Lists skills (extension `skills`).
    pub const SKILLS_LIST: &str = "skills/list";
    /// Gets one skill.
    pub const SKILLS_GET: &str = "skills/get";
    /// Lists what is in a directory among the resources (extension `skills`).
    pub const DIRECTORY_READ: &str = "resources/directory/read";
    /// How far a task has come (2025-11-25).
    pub const TASK_STATUS: &str = "notifications/tasks/status";
    /// A subscribed resource changed.
    pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
    /// The list of tools changed.
    pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
    /// The list of resources changed.
    pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
    /// The list of prompts changed.
    pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
    /// The client's roots changed.
    pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";

    /// Every method of MCP, in any of its versions up to 2026-07-28 and its official extensions. Others are not
    /// forbidden: servers and clients may have methods of their own.
    pub const KNOWN: [&str; 39] = [
        INITIALIZE,
        INITIALIZED,
        PING,
        CANCELLED,
        PROGRESS,
        LOG_MESSAGE,
        SET_LEVEL,
        TOOLS_LIST,
        TOOLS_CALL,
        RESOURCES_LIST,
        TEMPLATES_LIST,
        "resources/read",
        "resources/directory/read",
        SUBSCRIBE,
        UNSUBSCRIBE,
        PROMPTS_LIST,
        "prompts/get",
        "completion/complete",
        "sampling/createMessage",
        "elicitation/create",
        "notifications/elicitation/complete",
        "roots/list",
        RESOURCE_UPDATED,
        TOOLS_CHANGED,
        RESOURCES_CHANGED,
        PROMPTS_CHANGED,
        ROOTS_CHANGED,
        "tasks/get",
        "tasks/update",
        "tasks/list",
        "tasks/result",
        "tasks/cancel",
        "notifications/tasks",
        "notifications/tasks/status",
        "server/discover",
        "subscriptions/listen",
        "notifications/subscriptions/acknowledged",
        "skills/list",
        "skills/get",
    ];
}

/// Header names in lower case, as HTTP/2 and the `http` crate want them.
pub mod header {
    /// The session of Streamable HTTP, 2025-03-26 and later.
    pub const SESSION_ID: &str = "mcp-session-id";
    /// The negotiated version, 2025-06-18 and later.
    pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
    /// The method of the body, mirrored (2026-07-28, "Standard Headers").
    pub const METHOD: &str = "mcp-method";
    /// What the body's method names (a tool, a prompt, a resource, a task), mirrored.
    pub const NAME: &str = "mcp-name";
    /// What the names of headers begin with that mirror an argument of a tool.
    pub const PARAM_PREFIX: &str = "mcp-param-";
    /// Where an interrupted event stream goes on.
    pub const LAST_EVENT_ID: &str = "last-event-id";
    /// A session named the way of Portcullis' first design; answers are plain JSON.
    pub const X_SESSION_ID: &str = "x-session-id";
    /// The mode that a client chooses, where the operator lets the header choose.
    pub const X_MODE: &str = "x-portcullis-mode";
}

/// JSON-RPC error codes. Those of the gateway lie in -32000 to -32019, to which the specification gives no meaning.
pub mod code {
    /// The text is not JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// The JSON is not a JSON-RPC message.
    pub const INVALID_REQUEST: i32 = -32600;
    /// The method is unknown, or not available on this server or session.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters are wrong.
    pub const INVALID_PARAMS: i32 = -32602;
    /// The gateway failed.
    pub const INTERNAL_ERROR: i32 = -32603;
    /// A mirrored header is missing, or is not what the body says (2026-07-28).
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The request needs something of the client that it does not declare (2026-07-28).
    pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
    /// The request speaks a version that the other side does not (2026-07-28).
    pub const UNSUPPORTED_VERSION: i32 = -32022;
    /// There is no such resource (up to 2025-11-25; later [`INVALID_PARAMS`]).
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// The user has to visit a page first (2025-11-25 only).
    pub const URL_ELICITATION_REQUIRED: i32 = -32042;
    /// The request was refused by the transport (wrong `Accept`, missing session, and so on).
    pub const REFUSED: i32 = -32000;
    /// The session is unknown or has ended; or the request took too long (the SDKs use one code for both).
    pub const SESSION_NOT_FOUND: i32 = -32001;
    /// The request took longer than its limit.
    pub const REQUEST_TIMEOUT: i32 = -32001;
    /// The server is not there: failed, stopping, crashed during the request, disabled or removed.
    pub const SERVER_UNAVAILABLE: i32 = -32003;
    /// A limit of the gateway was reached; the request may be sent again later.
    pub const OVERLOADED: i32 = -32004;
    /// The request was taken back by the client.
    pub const CANCELLED: i32 = -32005;
    /// A policy of the gateway broke, so that it could neither allow nor refuse. What a policy refuses has its own code.
    pub const POLICY_FAILED: i32 = -32050;
}
