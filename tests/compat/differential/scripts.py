"""What the client says to each server: everything that the server offers, used sensibly, and used wrongly."""

from .wires import MODERN

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
KINDS = ("error", "success", "debug")
CITIES = ("New York", "Chicago", "Los Angeles")
# What JSON allows and other writers would write otherwise: escapes, half a surrogate pair, forms of numbers, blanks.
ODD_TEXT = r'"caf\u00e9 \u2028 \ud83e\udd80 \ud800 \/ \u0007 \" \\ <\u003e"'
ODD_NUMBERS = r'{ "a" :1e2 , "b":  -2.50 }'


class Incomplete(Exception):
    """A server offers what the script does not use."""


def play(session, server, files):
    """Plays everything that there is to say to a server."""
    opened = session.open()
    if not session.is_open:
        return
    about = opened["result"]["capabilities"]
    SETTLE.get(server, lambda *_: None)(session)
    listed = listing(session, about)
    calls = CALLS[server](str(files), session)
    for tool, arguments in calls:
        session.ask_on("tools/call", {"name": tool, "arguments": arguments})
    if unused := {tool["name"] for tool in listed["tools"]} - {tool for tool, _ in calls} - BY_HAND[server]:
        raise Incomplete(f"no arguments for {', '.join(sorted(unused))}")
    for tool in listed["tools"]:
        if tool["inputSchema"].get("required"):
            session.ask("tools/call", {"name": tool["name"], "arguments": {}})
            wrong = dict.fromkeys(tool["inputSchema"]["required"], [None])
            session.ask("tools/call", {"name": tool["name"], "arguments": wrong})
    for resource in listed["resources"]:
        session.ask("resources/read", {"uri": resource["uri"]})
    mistakes(session)
    MORE.get(server, lambda *_: None)(session)
    barrier(session)


def barrier(session):
    """What was said before has been heard when this is answered."""
    session.ask("tools/list" if session.version == MODERN else "ping")


def listing(session, about):
    """Reads every list to its end, and from a page that there is not."""
    listed = {"tools": [], "resources": [], "resourceTemplates": [], "prompts": []}
    methods = {"resourceTemplates": "resources/templates/list"}
    for kind, items in listed.items():
        method = methods.get(kind, f"{kind}/list")
        answer = session.ask(method)
        items += answer.get("result", {}).get(kind, [])
        while cursor := answer.get("result", {}).get("nextCursor"):
            answer = session.ask(method, {"cursor": cursor})
            items += answer["result"][kind]
        session.ask(method, {"cursor": "bm8gc3VjaCBwYWdl"})
    return listed


def mistakes(session):
    session.ask("tools/call", {"name": "no-such-tool", "arguments": {}})
    session.ask("tools/call", {"arguments": {}})
    session.ask("prompts/get", {"name": "no-such-prompt"})
    session.ask("resources/read", {"uri": "nowhere://at/all"})
    nowhere = {"type": "ref/prompt", "name": "none"}
    session.ask("completion/complete", {"ref": nowhere, "argument": {"name": "a", "value": ""}})
    session.ask("no/such/method", {"what": ["ever", None, 1.5]})
    if session.version == MODERN:
        return
    session.ask("ping")
    session.say("notifications/no/such", {"x": 1})
    session.ask("logging/setLevel", {"level": "no-such-level"})
    session.ask("logging/setLevel", {"level": "debug"})
    session.ask("resources/subscribe", {"uri": "nowhere://at/all"})
    session.ask("resources/unsubscribe", {"uri": "nowhere://at/all"})


# ---- everything


def settle_everything(session):
    # A moment after the handshake it asks for the roots, and says that it has them.
    session.wait("asked roots/list")
    session.wait("told notifications/message")


def everything(_files, session):
    calls = [
        ("echo", {"message": "gr\u00fc\u00df dich \U0001f980 \u2028 </script>"}),
        ("echo", {"message": "x" * 300_000}),
        ("get-sum", {"a": 2, "b": 40.5}),
        ("get-sum", {"a": 9007199254740993, "b": 1e-7}),
        ("get-env", {}),
        ("get-tiny-image", {}),
        *(("get-annotated-message", {"messageType": kind, "includeImage": True}) for kind in KINDS),
        ("get-resource-links", {"count": 4}),
        ("get-resource-reference", {"resourceType": "Text", "resourceId": 3}),
        ("get-resource-reference", {"resourceType": "Blob", "resourceId": -3}),
        *(("get-structured-content", {"location": city}) for city in CITIES),
        ("gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}),
        ("gzip-file-as-resource", {"name": "b.gz", "data": "data:text/plain,hello", "outputType": "resourceLink"}),
        ("get-roots-list", {}),
        ("trigger-sampling-request", {"prompt": "say it", "maxTokens": 17}),
        ("simulate-research-query", {"topic": "python"}),
    ]
    if "elicitation" in session.capabilities:
        calls.append(("trigger-elicitation-request", {}))
    if "tasks" in session.capabilities:
        url = {"url": "https://example.com/form", "elicitationId": "e-1"}
        calls += [
            ("trigger-url-elicitation", url),
            ("trigger-url-elicitation", {**url, "errorPath": True}),
            ("trigger-url-elicitation", {**url, "errorPath": True}),
            ("trigger-sampling-request-async", {"prompt": "take your time"}),
            ("trigger-elicitation-request-async", {}),
        ]
    return calls


def more_of_everything(session):
    odd_texts(session)
    prompts_and_completions(session)
    for uri in ("demo://resource/dynamic/text/7", "demo://resource/dynamic/blob/7", "demo://resource/session/b.gz"):
        session.ask("resources/read", {"uri": uri})
    session.ask("resources/list")
    watch(session)
    if "tasks" in session.capabilities:
        research(session)
    progress_and_cancellation(session)


def odd_texts(session):
    """Requests that are written in ways in which no library writes them."""
    session.ask_text("tools/call", f'{{"arguments":{{"message":{ODD_TEXT}}},"name":"echo"}}')
    session.ask_text("tools/call", f'{{"name":"get-sum","arguments":{ODD_NUMBERS},"x-unknown":{{"a":[1.0,1E5]}}}}')


def prompts_and_completions(session):
    for name, arguments in [
        ("simple-prompt", {}),
        ("args-prompt", {"city": "\u00c5lesund", "state": "Norway"}),
        ("args-prompt", {}),
        ("completable-prompt", {"department": "Sales", "name": "Eve"}),
        ("resource-prompt", {"resourceType": "Text", "resourceId": "2"}),
        ("resource-prompt", {"resourceType": "Text", "resourceId": "x"}),
    ]:
        session.ask("prompts/get", {"name": name, "arguments": arguments})
    prompt = {"type": "ref/prompt", "name": "completable-prompt"}
    template = {"type": "ref/resource", "uri": "demo://resource/dynamic/text/{resourceId}"}
    context = {"arguments": {"department": "Sales"}}
    for params in [
        {"ref": prompt, "argument": {"name": "department", "value": ""}},
        {"ref": prompt, "argument": {"name": "name", "value": "E"}, "context": context},
        {"ref": template, "argument": {"name": "resourceId", "value": "12"}},
        {"ref": template, "argument": {"name": "resourceId", "value": "x"}},
    ]:
        session.ask("completion/complete", params)


def watch(session):
    """Logs and updates, which it sends at once when it begins to, and then every few seconds."""
    heard = len(session.heard["told notifications/message"])
    session.ask("tools/call", {"name": "toggle-simulated-logging", "arguments": {}})
    session.wait("told notifications/message", heard + 1)
    session.ask("tools/call", {"name": "toggle-simulated-logging", "arguments": {}})
    uri = {"uri": "demo://resource/dynamic/text/7"}
    session.ask("resources/subscribe", uri)
    session.ask("tools/call", {"name": "toggle-subscriber-updates", "arguments": {}})
    session.wait("told notifications/resources/updated")
    session.ask("tools/call", {"name": "toggle-subscriber-updates", "arguments": {}})
    session.ask("resources/unsubscribe", uri)
    asked = len(session.heard["asked roots/list"])
    session.say("notifications/roots/list_changed")
    session.wait("asked roots/list", asked + 1)


def research(session):
    """A tool that is a task: one that is ended, and one that asks on its way to its result."""
    def begin(**arguments):
        params = {"name": "simulate-research-query", "arguments": arguments, "task": {"ttl": 60000}}
        return {"taskId": session.ask("tools/call", params)["result"]["task"]["taskId"]}

    given_up = begin(topic="snow")
    session.ask("tasks/get", given_up)
    session.ask("tasks/cancel", given_up)
    session.ask("tasks/result", given_up)
    wanted = begin(topic="python", ambiguous=True)
    session.ask("tasks/result", wanted)
    session.ask("tasks/get", wanted)
    session.ask("tasks/list")
    session.ask("tasks/get", {"taskId": "none"})


def progress_and_cancellation(session):
    def long(token, **arguments):
        arguments = {"name": "trigger-long-running-operation", "arguments": arguments}
        return {**arguments, "_meta": {"progressToken": token}}

    session.ask("tools/call", long("t-1", duration=0.3, steps=3))
    session.ask("tools/call", long(17, duration=0.2, steps=2))
    given_up = session.begin("tools/call", long("t-2", duration=4, steps=4))
    session.wait("progress t-2")
    session.say("notifications/cancelled", {"requestId": given_up, "reason": "enough"})


# ---- filesystem


def settle_filesystem(session):
    # It asks for the roots at once, and has the same ones already.
    session.wait("asked roots/list")


def filesystem(files, _session):
    def at(name):
        return f"{files}/{name}"

    text = "one\ntwo \u2028 caf\u00e9\nthree\n"
    return [
        ("list_allowed_directories", {}),
        ("create_directory", {"path": at("folder/inner")}),
        ("write_file", {"path": at("a.txt"), "content": text}),
        ("read_file", {"path": at("a.txt")}),
        ("read_text_file", {"path": at("a.txt"), "head": 1}),
        ("read_text_file", {"path": at("a.txt"), "tail": 1}),
        ("read_text_file", {"path": at("a.txt"), "head": 1, "tail": 1}),
        ("edit_file", {"path": at("a.txt"), "edits": [{"oldText": "two", "newText": "2"}], "dryRun": True}),
        ("edit_file", {"path": at("a.txt"), "edits": [{"oldText": "one", "newText": "1"}]}),
        ("edit_file", {"path": at("a.txt"), "edits": [{"oldText": "absent", "newText": ""}]}),
        ("read_media_file", {"path": at("dot.png")}),
        ("read_multiple_files", {"paths": [at("a.txt"), at("none.txt"), at("dot.png")]}),
        ("move_file", {"source": at("a.txt"), "destination": at("folder/b.txt")}),
        ("list_directory", {"path": files}),
        ("list_directory_with_sizes", {"path": at("folder"), "sortBy": "size"}),
        ("directory_tree", {"path": files}),
        ("search_files", {"path": files, "pattern": "**/*.txt"}),
        ("get_file_info", {"path": at("folder/b.txt")}),
        ("read_text_file", {"path": "/etc/passwd"}),
        ("read_text_file", {"path": at("none.txt")}),
    ]


# ---- memory


def memory(_files, _session):
    ada = {"name": "Ada", "entityType": "person", "observations": ["writes \u00ab\U0001f980\u00bb"]}
    engine = {"name": "engine", "entityType": "thing", "observations": []}
    relation = {"from": "Ada", "to": "engine", "relationType": "programs"}
    return [
        ("create_entities", {"entities": [ada, engine]}),
        ("create_relations", {"relations": [relation]}),
        ("add_observations", {"observations": [{"entityName": "Ada", "contents": ["was born in 1815"]}]}),
        ("add_observations", {"observations": [{"entityName": "nobody", "contents": ["x"]}]}),
        ("read_graph", {}),
        ("search_nodes", {"query": "born"}),
        ("open_nodes", {"names": ["engine", "nobody"]}),
        ("delete_observations", {"deletions": [{"entityName": "Ada", "observations": ["was born in 1815"]}]}),
        ("delete_relations", {"relations": [relation]}),
        ("delete_entities", {"entityNames": ["engine"]}),
    ]


def more_of_memory(session):
    uri = {"uri": "memory://knowledge-graph"}
    session.ask("resources/subscribe", uri)
    entity = {"name": "Grace", "entityType": "person", "observations": []}
    session.ask("tools/call", {"name": "create_entities", "arguments": {"entities": [entity]}})
    session.ask("resources/unsubscribe", uri)


# ---- time


def time(_files, _session):
    return [
        ("get_current_time", {"timezone": "Europe/Oslo"}),
        ("convert_time", {"source_timezone": "Asia/Kathmandu", "time": "16:30", "target_timezone": "Asia/Tokyo"}),
        ("convert_time", {"source_timezone": "UTC", "time": "half past", "target_timezone": "Asia/Tokyo"}),
        ("get_current_time", {"timezone": "Nowhere/At \u00e6ll"}),
    ]


# ---- one that is made with the TypeScript SDK


ASKS = ["test_missing_capability", "test_sampling", "test_elicitation", "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums"]
ROUNDS = ["elicitation", "sampling", "list_roots", "multiple_inputs", "capabilities", "request_state", "tampered_state",
          "multi_round"]
OF_ROUNDS = [f"test_input_required_result_{kind}" for kind in ROUNDS]


def sdk(_files, session):
    address = {"street": "1 \u2028 caf\u00e9", "city": "\U0001f980"}
    calls = [
        ("test_simple_text", {}), ("test_image_content", {}), ("test_audio_content", {}), ("test_embedded_resource", {}),
        ("test_multiple_content_types", {}), ("test_streaming_elicitation", {}), ("test_error_handling", {}),
        ("test_x_mcp_header", {"region": "eu-\u00e6 1 ", "level": 3}), ("test_x_mcp_header", {"region": "", "level": 1.5}),
        ("json_schema_2020_12_tool", {"name": "x", "address": address, "contactMethod": "phone", "phone": "1"}),
        ("json_schema_2020_12_tool", {"contactMethod": "email", "phone": "1"}),
        ("test_logging_tool", {}), ("test_tool_with_logging", {}), ("test_tool_with_progress", {}), ("test_reconnection", {}),
    ]
    if session.version == MODERN or "elicitation" in session.capabilities:
        calls += [(tool, {"prompt": "say it", "message": "say it"}) for tool in (*ASKS, *OF_ROUNDS)]
    return calls


def more_of_sdk(session):
    for name, arguments in [
        ("test_simple_prompt", {}),
        ("test_prompt_with_arguments", {"arg1": "\u00c5lesund", "arg2": ""}),
        ("test_prompt_with_embedded_resource", {"resourceUri": "test://x"}),
        ("test_prompt_with_image", {}),
    ]:
        session.ask("prompts/get", {"name": name, "arguments": arguments})
    if session.version == MODERN or "elicitation" in session.capabilities:
        session.ask_on("prompts/get", {"name": "test_input_required_result_prompt"})
    session.ask("resources/read", {"uri": "test://template/7/data"})
    template = {"type": "ref/resource", "uri": "test://template/{id}/data"}
    session.ask("completion/complete", {"ref": template, "argument": {"name": "id", "value": "p"}})
    progress = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "t-1"}}
    session.ask("tools/call", progress)
    level = {"io.modelcontextprotocol/logLevel": "debug"} if session.version == MODERN else {}
    session.ask("tools/call", {"name": "test_tool_with_logging", "arguments": {}, "_meta": level})


CALLS = {"everything": everything, "filesystem": filesystem, "memory": memory, "time": time, "sdk": sdk}
SETTLE = {"everything": settle_everything, "filesystem": settle_filesystem}
MORE = {"everything": more_of_everything, "memory": more_of_memory, "sdk": more_of_sdk}
# The tools that are called in the course of something longer.
BY_HAND = {
    "everything": {"toggle-simulated-logging", "toggle-subscriber-updates", "trigger-long-running-operation"},
    "filesystem": set(), "memory": set(), "time": set(),
    # Who listens to them is another matter; and what asks is asked only where there is somebody to ask.
    "sdk": {"test_trigger_tool_change", "test_trigger_prompt_change", *ASKS, *OF_ROUNDS},
}
