"""What the Python client sees of the wire: messages as they pass, and the words its checks use about them."""

import json

import anyio


def plain(value):
    """The JSON form of a model of either SDK: the wire's names, nothing that was not set."""
    if hasattr(value, "model_dump"):
        return value.model_dump(by_alias=True, mode="json", exclude_none=True)
    return value


def expect(holds, saw):
    if not holds:
        raise AssertionError(f"unexpected: {json.dumps(plain(saw), default=str)[:1000]}")


def text(result):
    return "\n".join(getattr(block, "text", "") for block in result.content)


class Inbox:
    """Messages the server sent of its own accord, with a way to wait for one."""

    def __init__(self):
        self.messages = []
        self.arrival = anyio.Event()

    def put(self, message):
        self.messages.append(message)
        self.arrival.set()
        self.arrival = anyio.Event()

    def all(self, method):
        return [message for message in self.messages if message["method"] == method]

    async def wait(self, method, matches):
        while not any(matches(message["params"]) for message in self.all(method)):
            await self.arrival.wait()


class Tap:
    """One end of a transport's stream pair; shows what passes and changes nothing."""

    def __init__(self, inner, see):
        self.inner = inner
        self.see = see

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def __aenter__(self):
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *reason):
        return await self.inner.__aexit__(*reason)

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def receive(self):
        item = await self.inner.receive()
        self.see(item)
        return item

    async def send(self, item):
        self.see(item)
        await self.inner.send(item)
