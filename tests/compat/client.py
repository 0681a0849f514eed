"""Drives one MCP server with the published Python SDK (1.x or 2.x) and reports each check as one JSON line.

usage: client.py --server NAME --transport http|sse --url URL [options]
       client.py --server NAME --transport stdio [options] -- COMMAND ARGS...
options: --era legacy|modern (2.x: with the handshake, or as `mcp.Client` does when nobody chooses, which must come to
         the era without), --directory DIR, --transcript FILE

The transcript holds the results that must be the same whatever lies between the client and the server,
as they came in at the transport, before the SDK's models touch them.
"""

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
from datetime import datetime, timezone

import anyio
import mcp
import mcp.types as types
from mcp.client.sse import sse_client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from wire import Inbox, Tap, expect, plain, text

DEADLINE_S = 20
LARGE_BYTES = 983_040  # this SDK refuses server-sent events above 1 MiB
SDK_2 = hasattr(mcp, "Client")
MODERN = "2026-07-28"
ROOTS = ["file:///compat/one", "file:///compat/two"]
ELICITED = {"name": "Ada", "check": True, "integer": 7}


class Probe:
    """One connection, its checks and what they left behind."""

    def __init__(self, options):
        self.options = options
        self.failures = 0
        self.transcript = {}
        self.inbox = Inbox()
        self.label = None
        self.labels = {}
        self.last_request = None
        self.session = None
        self.is_modern = options.era == "modern"

    # ---- reporting

    @contextlib.contextmanager
    def reporting(self, name):
        try:
            yield
            print(json.dumps({"check": name, "ok": True}), flush=True)
        except Exception:
            self.failures += 1
            print(json.dumps({"check": name, "ok": False, "saw": traceback.format_exc()[-2000:]}), flush=True)

    async def check(self, name, body):
        with self.reporting(name), anyio.fail_after(DEADLINE_S):
            await body()

    # ---- the wire

    def sent(self, item):
        message = plain(getattr(item.message, "root", item.message))
        if "id" in message and "method" in message:
            self.last_request = message["id"]
            if self.label:
                self.labels[message["id"]], self.label = self.label, None

    def received(self, item):
        if isinstance(item, Exception):
            print(f"transport: {item!r}", file=sys.stderr)
            return
        message = getattr(item.message, "root", item.message)
        label = self.labels.get(getattr(message, "id", None))
        if label and not hasattr(message, "method"):
            result = getattr(message, "result", None) or plain(message.error)
            self.transcript[label] = result
            if result.get("resultType") == "input_required":
                self.label = label  # the request that goes on with it has the result that counts
        if getattr(message, "method", "").startswith("notifications/"):
            self.inbox.put({"method": message.method, "params": message.params or {}})

    async def recorded(self, label, request):
        """Awaits `request`, whose result goes to the transcript."""
        self.label = label
        return await request

    @contextlib.asynccontextmanager
    async def transport(self):
        kind, url = self.options.transport, self.options.url
        if kind == "stdio":
            command, *args = self.options.command
            parameters = StdioServerParameters(command=command, args=args, env=dict(os.environ))
            quiet = open(os.devnull, "w")
            opened = stdio_client(parameters, errlog=quiet)
        else:
            opened = {"http": streamable_http_client, "sse": sse_client}[kind](url)
        async with opened as (read, write, *_):
            yield Tap(read, self.received), Tap(write, self.sent)

    def callbacks(self):
        if self.options.server not in ("everything", "mock"):
            return {}
        return {
            "sampling_callback": self.sample,
            "elicitation_callback": self.elicit,
            "list_roots_callback": self.roots,
        }

    async def sample(self, _context, params):
        asked = plain(params)["messages"][0]["content"]["text"]
        return types.CreateMessageResult(
            role="assistant", model="compat-model", content=types.TextContent(type="text", text=f"sampled {asked}")
        )

    async def elicit(self, _context, params):
        self.inbox.put({"method": "elicitation/create", "params": plain(params)})
        return types.ElicitResult(action="accept", content=ELICITED)

    async def roots(self, _context):
        return types.ListRootsResult(roots=[types.Root(uri=uri, name=uri[-3:]) for uri in ROOTS])

    @contextlib.asynccontextmanager
    async def connection(self):
        """Yields an initialised session, or what has the same verbs where there are none, and who the server is."""
        if self.is_modern:
            async with mcp.Client(self.transport(), **self.callbacks()) as client:
                expect(client.protocol_version == MODERN, client.protocol_version)
                yield client, client.server_info
        else:
            async with self.transport() as (read, write), mcp.ClientSession(read, write, **self.callbacks()) as session:
                result = await session.initialize()
                yield session, types.Implementation.model_validate(plain(result)["serverInfo"])

    async def run(self):
        """Connects, runs the server's checks and closes; opening and closing are checks as well."""
        stack = contextlib.AsyncExitStack()
        self.label = "initialize"
        # No deadline around these two, because their cancel scopes outlive them; the runner has one for the cell.
        with self.reporting("initialize"):
            self.session, info = await stack.enter_async_context(self.connection())
            expect(info.name == NAMES[self.options.server], info)
        if self.session is None:
            return 1
        await SERVERS[self.options.server](self)
        with self.reporting("close"):
            try:
                await stack.aclose()
            except BaseExceptionGroup as errors:
                # The stdio client of 1.x trips over what the server says while it closes.
                if self.options.transport != "stdio" or errors.split(anyio.BrokenResourceError)[1]:
                    raise
        if self.options.transcript:
            with open(self.options.transcript, "w") as file:
                json.dump(self.transcript, file, indent=1, ensure_ascii=False)
        return 1 if self.failures else 0

    # ---- requests and checks that several servers share

    def call(self, name, arguments=None, **more):
        return self.session.call_tool(name, arguments or {}, **more)

    async def call_text(self, name, arguments=None):
        return text(await self.call(name, arguments))

    async def check_tools(self, *expected, absent=()):
        async def body():
            listed = await self.recorded("tools/list", self.session.list_tools())
            names = [tool.name for tool in listed.tools]
            expect(all(name in names for name in expected) and not any(name in names for name in absent), names)

        await self.check("tools", body)

    async def check_unknown_tool(self):
        async def body():
            try:
                answer = await self.recorded("unknown tool", self.call("no-such-tool"))
                refused = plain(answer)["isError"] and "no-such-tool" in text(answer)
            except Exception as error:
                answer, refused = str(error), "no-such-tool" in str(error)
            expect(refused, answer)

        await self.check("unknown-tool", body)

    async def check_progress(self):
        async def body():
            seen = []

            async def progress(done, total, _message):
                seen.append(f"{done:g}/{total:g}")

            arguments = {"duration": 0.6, "steps": 3}
            result = await self.call("trigger-long-running-operation", arguments, progress_callback=progress)
            expect("Long running operation completed" in text(result), result)
            arrived = [f"{p['progress']}/{p['total']}" for p in self.progress()]
            expect(arrived == ["1/3", "2/3", "3/3"], arrived)
            expect(seen == arrived or seen == arrived[:2], seen)

        await self.check("progress", body)

    def progress(self):
        return [message["params"] for message in self.inbox.all("notifications/progress")]

    async def check_concurrency(self):
        async def body():
            answers = {}

            async def one(word):
                answers[word] = await self.call_text("echo", {"message": word})

            words = [f"word {index}" for index in range(32)]
            async with anyio.create_task_group() as group:
                for word in words:
                    group.start_soon(one, word)
            expect(answers == {word: f"Echo: {word}" for word in words}, answers)

        await self.check("concurrency", body)

    async def check_subscription(self):
        async def body():
            uri = "demo://resource/dynamic/text/7"
            async with self.subscribed(uri):
                switched = await self.call_text("toggle-subscriber-updates")
                expect(switched.startswith("Started"), switched)
                await self.inbox.wait("notifications/resources/updated", lambda params: params["uri"] == uri)
                switched = await self.call_text("toggle-subscriber-updates")
                expect(switched.startswith("Stopped"), switched)

        await self.check("subscription", body)

    @contextlib.asynccontextmanager
    async def subscribed(self, uri):
        if self.is_modern:
            async with self.session.listen(resource_subscriptions=[uri]) as subscription:
                expect(plain(subscription.honored)["resourceSubscriptions"] == [uri], subscription.honored)
                yield
        else:
            await self.session.subscribe_resource(uri)
            yield
            await self.session.unsubscribe_resource(uri)


# ---- one function for each server


async def everything(probe):
    session = probe.session
    await probe.check_tools("echo", "get-sum", "trigger-sampling-request", "trigger-elicitation-request", "get-roots-list")

    async def resources():
        listed = await probe.recorded("resources/list", session.list_resources())
        expect(len(listed.resources) >= 5 and all(str(r.uri).startswith("demo://") for r in listed.resources), listed)

    async def templates():
        listed = plain(await probe.recorded("resources/templates/list", session.list_resource_templates()))
        expect("Dynamic Text Resource" in [entry["name"] for entry in listed["resourceTemplates"]], listed)

    async def prompts():
        listed = await probe.recorded("prompts/list", session.list_prompts())
        names = [prompt.name for prompt in listed.prompts]
        expect({"simple-prompt", "args-prompt", "completable-prompt"} <= set(names), names)

    async def echo():
        result = await probe.recorded("echo", probe.call("echo", {"message": "grüß dich 🦀 \u2028"}))
        expect(text(result) == "Echo: grüß dich 🦀 \u2028", result)

    async def total():
        result = await probe.recorded("get-sum", probe.call("get-sum", {"a": 2, "b": 40.5}))
        expect(text(result) == "The sum of 2 and 40.5 is 42.5.", result)

    async def structured():
        result = await probe.recorded("structured", probe.call("get-structured-content", {"location": "Chicago"}))
        expect(plain(result)["structuredContent"]["temperature"] == 36, result)

    async def large():
        message = "0123456789abcdef" * (LARGE_BYTES // 16)
        answer = await probe.call_text("echo", {"message": message})
        expect(answer == f"Echo: {message}", len(answer))

    async def sampling():
        result = await probe.recorded("sampling", probe.call("trigger-sampling-request", {"prompt": "say it"}))
        expect("sampled Resource trigger-sampling-request context: say it" in text(result), result)

    async def elicitation():
        result = await probe.recorded("elicitation", probe.call("trigger-elicitation-request"))
        expect("- Name: Ada" in text(result) and "- Favorite Integer: 7" in text(result), result)
        asked = [message["params"] for message in probe.inbox.all("elicitation/create")]
        expect(len(asked) == 1 and len(asked[0]["requestedSchema"]["properties"]["legacyTitledEnum"]["enumNames"]) == 5, asked)

    async def roots():
        result = await probe.recorded("roots", probe.call("get-roots-list"))
        expect(all(uri in text(result) for uri in ROOTS), result)

    async def logging():
        await session.set_logging_level("debug")
        switched = await probe.call_text("toggle-simulated-logging")
        expect(switched.startswith("Started"), switched)
        await probe.inbox.wait("notifications/message", lambda params: "level" in str(params["data"]))
        switched = await probe.call_text("toggle-simulated-logging")
        expect(switched.startswith("Stopped"), switched)

    async def resource_read():
        uri = "demo://resource/static/document/features.md"
        result = plain(await probe.recorded("resources/read", session.read_resource(uri)))
        (content,) = result["contents"]
        expect(content["uri"] == uri and content["mimeType"] == "text/markdown" and len(content["text"]) > 500, content)

    async def prompt():
        request = session.get_prompt("args-prompt", {"city": "Oslo", "state": "Norway"})
        result = await probe.recorded("prompts/get", request)
        expect(result.messages[0].content.text == "What's weather in Oslo, Norway?", result)

    async def completion():
        reference = types.PromptReference(type="ref/prompt", name="completable-prompt")
        request = session.complete(reference, {"name": "name", "value": "E"}, {"department": "Sales"})
        result = await probe.recorded("completion", request)
        expect(result.completion.values == ["Eve"], result)

    async def cancellation():
        started = time.monotonic()
        before = len(probe.progress())
        async with anyio.create_task_group() as group:

            async def progress(*_):
                pass

            async def call():
                arguments = {"duration": 30, "steps": 300}
                await probe.call("trigger-long-running-operation", arguments, progress_callback=progress)

            group.start_soon(call)
            await probe.inbox.wait("notifications/progress", lambda _: len(probe.progress()) > before)
            if not SDK_2:  # 1.x tells the server nothing when a call is given up, its user has to
                parameters = types.CancelledNotificationParams(requestId=probe.last_request, reason="enough")
                notification = types.CancelledNotification(method="notifications/cancelled", params=parameters)
                await session.send_notification(types.ClientNotification(notification))
            group.cancel_scope.cancel()
        expect(time.monotonic() - started < 15, time.monotonic() - started)
        expect(await probe.call_text("echo", {"message": "still here"}) == "Echo: still here", "the session is dead")

    await probe.check("resources", resources)
    await probe.check("templates", templates)
    await probe.check("prompts", prompts)
    if not probe.is_modern:
        await probe.check("ping", session.send_ping)
    await probe.check("echo", echo)
    await probe.check("sum", total)
    await probe.check("structured", structured)
    await probe.check("large", large)
    await probe.check_unknown_tool()
    await probe.check_progress()
    await probe.check_concurrency()
    await probe.check("sampling", sampling)
    await probe.check("elicitation", elicitation)
    await probe.check("roots", roots)
    if not probe.is_modern:
        await probe.check("logging", logging)
    await probe.check("resource-read", resource_read)
    if not probe.is_modern:
        await probe.check_subscription()
    await probe.check("prompt", prompt)
    await probe.check("completion", completion)
    await probe.check("cancellation", cancellation)


async def everything_plain(probe):
    """A client that declares nothing, so that the gateway may let it share the process with others."""
    await probe.check_tools("echo", absent=["trigger-sampling-request"])
    await probe.check_progress()
    await probe.check_concurrency()
    await probe.check_subscription()


async def filesystem(probe):
    directory = probe.options.directory
    path = os.path.join(directory, "compat.txt")
    content = f"written by process {os.getpid()}\nat {time.time()}\n"

    async def write():
        await probe.recorded("write_file", probe.call("write_file", {"path": path, "content": content}))
        with open(path) as file:
            written = file.read()
        expect(written == content, written)

    async def read():
        answer = await probe.call_text("read_text_file", {"path": path})
        expect(answer == content, answer)

    async def listing():
        result = await probe.recorded("list_directory", probe.call("list_directory", {"path": directory}))
        expect("[FILE] compat.txt" in text(result), result)

    async def refusal():
        result = await probe.recorded("refusal", probe.call("read_text_file", {"path": "/etc/hostname"}))
        expect(plain(result)["isError"] and "Access denied" in text(result), result)

    await probe.check_tools("read_text_file", "write_file", "list_directory")
    await probe.check("write", write)
    await probe.check("read", read)
    await probe.check("list", listing)
    await probe.check("refusal", refusal)
    await probe.check_unknown_tool()


async def memory(probe):
    name = f"entity-{os.getpid()}-{time.time_ns()}"

    async def entities():
        return json.loads(await probe.call_text("open_nodes", {"names": [name]}))["entities"]

    async def create():
        entity = {"name": name, "entityType": "probe", "observations": ["first", "zweite ü"]}
        answer = await probe.call_text("create_entities", {"entities": [entity]})
        expect(name in answer, answer)

    async def read():
        found = await entities()
        expect([entity["observations"] for entity in found] == [["first", "zweite ü"]], found)

    async def delete():
        await probe.call("delete_entities", {"entityNames": [name]})
        found = await entities()
        expect(found == [], found)

    await probe.check_tools("create_entities", "open_nodes", "delete_entities")
    await probe.check("create", create)
    await probe.check("read", read)
    await probe.check("delete", delete)
    await probe.check_unknown_tool()


async def clock(probe):
    async def now():
        answer = json.loads(await probe.call_text("get_current_time", {"timezone": "UTC"}))
        told = datetime.fromisoformat(answer["datetime"])
        expect(abs((datetime.now(timezone.utc) - told).total_seconds()) < 60, answer)

    async def convert():
        arguments = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
        answer = await probe.call_text("convert_time", arguments)
        expect("T21:00:00+09:00" in answer, answer)

    async def bad_zone():
        try:
            result = await probe.recorded("bad zone", probe.call("get_current_time", {"timezone": "Nowhere/Land"}))
        except Exception as error:
            expect("Nowhere/Land" in str(error), str(error))
        else:
            expect(plain(result)["isError"] and "Nowhere/Land" in text(result), result)

    await probe.check_tools("get_current_time", "convert_time")
    await probe.check("now", now)
    await probe.check("convert", convert)
    await probe.check("bad-zone", bad_zone)
    await probe.check_unknown_tool()


async def mock(probe):
    """A server without the handshake, which asks in its answers."""
    session = probe.session
    watched = "test://watched-resource"

    async def resources():
        listed = await probe.recorded("resources/list", session.list_resources())
        expect(watched in [str(resource.uri) for resource in listed.resources], listed)

    async def prompts():
        listed = await probe.recorded("prompts/list", session.list_prompts())
        expect("test_prompt_with_arguments" in [prompt.name for prompt in listed.prompts], listed)

    async def echo():
        result = await probe.recorded("echo", probe.call("echo", {"message": "grüß dich 🦀 \u2028", "deep": [{"n": 1.5}]}))
        expect(json.loads(text(result))["message"] == "grüß dich 🦀 \u2028", result)

    async def contents():
        result = await probe.recorded("contents", probe.call("test_multiple_content_types"))
        expect([block.type for block in result.content] == ["text", "image", "resource"], result)

    async def failure():
        result = await probe.recorded("failure", probe.call("test_error_handling"))
        expect(plain(result)["isError"], result)

    async def progress():
        async def ignore(*_):
            pass

        await probe.call("test_tool_with_progress", progress_callback=ignore)
        arrived = [params["progress"] for params in probe.progress()]
        expect(arrived == [0, 50, 100], arrived)

    async def sampling():
        result = await probe.recorded("sampling", probe.call("test_sampling", {"prompt": "say it"}))
        expect(text(result) == "LLM response: sampled say it", result)

    async def elicitation():
        result = await probe.recorded("elicitation", probe.call("test_elicitation", {"message": "who?"}))
        expect("action=accept" in text(result), result)
        asked = [message["params"] for message in probe.inbox.all("elicitation/create")]
        expect([params["message"] for params in asked] == ["who?"], asked)

    async def resource_read():
        result = plain(await probe.recorded("resources/read", session.read_resource("test://static-text")))
        expect(result["contents"][0]["uri"] == "test://static-text", result)

    async def subscription():
        async with probe.subscribed(watched):
            await probe.call("touch", {"uri": watched})
            await probe.inbox.wait("notifications/resources/updated", lambda params: params["uri"] == watched)

    async def prompt():
        request = session.get_prompt("test_prompt_with_arguments", {"arg1": "one", "arg2": "two"})
        result = await probe.recorded("prompts/get", request)
        expect("one" in result.messages[0].content.text, result)

    await probe.check_tools("echo", "test_sampling")
    await probe.check("resources", resources)
    await probe.check("prompts", prompts)
    await probe.check("echo", echo)
    await probe.check("contents", contents)
    await probe.check("failure", failure)
    await probe.check("progress", progress)
    await probe.check("sampling", sampling)
    await probe.check("elicitation", elicitation)
    await probe.check("resource-read", resource_read)
    await probe.check("subscription", subscription)
    await probe.check("prompt", prompt)
    await probe.check_unknown_tool()


SERVERS = {
    "everything": everything,
    "everything-plain": everything_plain,
    "filesystem": filesystem,
    "memory": memory,
    "time": clock,
    "mock": mock,
}
NAMES = {
    "everything": "mcp-servers/everything",
    "everything-plain": "mcp-servers/everything",
    "filesystem": "secure-filesystem-server",
    "memory": "memory-server",
    "time": "mcp-time",
    "mock": "portcullis-mock",
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", choices=SERVERS, required=True)
    parser.add_argument("--transport", choices=["http", "sse", "stdio"], required=True)
    parser.add_argument("--era", choices=["legacy", "modern"], default="legacy")
    parser.add_argument("--url")
    parser.add_argument("--directory")
    parser.add_argument("--transcript")
    parser.add_argument("command", nargs="*")
    return anyio.run(Probe(parser.parse_args()).run)


if __name__ == "__main__":
    sys.exit(main())
