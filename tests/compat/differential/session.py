"""One session: what the client said, what it answered when it was asked, and every text that it heard, sorted."""

import json
import queue
import re
import time
from itertools import count

from .wires import MODERN

WAIT_S = 60
INFO = {"name": "compat", "version": "1.0.0"}


class Silence(Exception):
    """What was waited for did not come."""


class Session:
    """Plays a script over a wire. What was heard is in `heard`, as texts by what they belong to, in `order` those."""

    def __init__(self, version, capabilities, responder):
        self.version = version
        self.capabilities = capabilities
        self.responder = responder
        self.arrivals = queue.Queue()
        self.ids = count(1)
        self.labels = {}
        self.tokens = {}
        self.heard = {}
        self.order = []
        self.wire = None
        self.is_open = False

    def deliver(self, text):
        self.arrivals.put(text)

    # ---- saying

    def say(self, method, params=None, **members):
        message = {"jsonrpc": "2.0", **members, "method": method}
        params = params if params is not None else {}
        if self.version == MODERN:
            params = {**params, "_meta": {**self.meta(), **params.get("_meta", {})}}
        self.send({**message, "params": params})

    def meta(self):
        about = {"protocolVersion": self.version, "clientCapabilities": self.capabilities, "clientInfo": INFO}
        return {f"io.modelcontextprotocol/{key}": value for key, value in about.items()}

    def send(self, message, text=None):
        self.wire.send(text or json.dumps(message), message)

    def begin(self, method, params=None):
        """Sends a request without waiting for its answer; returns its id."""
        identifier = next(self.ids)
        self.labels[identifier] = f"{identifier} {method}"
        self.tokens[identifier] = (params or {}).get("_meta", {}).get("progressToken")
        self.say(method, params, id=identifier)
        return identifier

    def ask(self, method, params=None):
        """Sends a request and returns its answer, decoded."""
        return self.answer(self.begin(method, params))

    def ask_on(self, method, params):
        """The same, and again with what the server wants to know first, as often as it does (2026-07-28)."""
        answer = self.ask(method, params)
        while (wanted := answer.get("result", {})).get("resultType") == "input_required":
            questions = wanted.get("inputRequests", {})
            said = {key: self.responder.reply(asked["method"], asked.get("params", {}))["result"]
                    for key, asked in questions.items()}
            state = {"requestState": wanted["requestState"]} if "requestState" in wanted else {}
            answer = self.ask(method, {**params, "inputResponses": said, **state})
        return answer

    def ask_text(self, method, params):
        """The same with parameters that are written as they are."""
        identifier = next(self.ids)
        self.labels[identifier] = f"{identifier} {method}"
        text = f'{{"jsonrpc":"2.0","id":{identifier},"method":"{method}","params":{params}}}'
        self.send(json.loads(text), text)
        return self.answer(identifier)

    def open(self):
        """Opens in the way of the version and returns the answer; to a server of another version it says no more."""
        if self.version == MODERN:
            self.wire.opened(MODERN)
            self.is_open = True
            return self.ask("server/discover")
        params = {"protocolVersion": self.version, "capabilities": self.capabilities, "clientInfo": INFO}
        answer = self.ask("initialize", params)
        self.is_open = answer["result"]["protocolVersion"] == self.version
        if self.is_open:
            self.wire.opened(self.version)
            self.say("notifications/initialized")
        return answer

    # ---- hearing

    def answer(self, identifier):
        label = self.labels[identifier]
        self.wait(label)
        return json.loads(self.heard[label][0])

    def wait(self, label, times=1):
        """Hears everything until so many texts came under this label."""
        limit = time.monotonic() + WAIT_S
        while len(self.heard.get(label, [])) < times:
            try:
                self.take(self.arrivals.get(timeout=max(limit - time.monotonic(), 0)))
            except queue.Empty:
                came = {label: len(texts) for label, texts in self.heard.items()}
                raise Silence(f"{times} of {label}, waited for in vain; what came: {came}") from None

    def take(self, text):
        message = json.loads(text)
        identifier = message.get("id")
        if "method" not in message:
            label = self.labels.get(identifier, "stray")
            self.keep(label, text)
            if token := self.tokens.get(identifier):
                self.keep(f"progress {token}", "answered")
        elif identifier is not None:
            # The one thing that may differ: the id is the gateway's own, as it is of what it asks the server.
            self.keep(f"asked {message['method']}", without_id(text, identifier))
            reply = self.responder.reply(message["method"], message.get("params", {}))
            self.send({"jsonrpc": "2.0", "id": identifier, **reply})
        elif message["method"] == "notifications/progress":
            self.keep(f"progress {message['params']['progressToken']}", text)
        else:
            self.keep(f"told {message['method']}", text)

    def keep(self, label, text):
        self.heard.setdefault(label, []).append(text)
        self.order.append(label)

    def wait_for_all(self, goal):
        """Waits until as much has come as in `goal`."""
        for label, texts in goal.items():
            self.wait(label, len(texts))

    def take_rest(self):
        """Takes what came when nobody waited any more; what was asked is too late to be answered."""
        while not self.arrivals.empty():
            text = self.arrivals.get()
            message = json.loads(text)
            if "method" in message and "id" in message:
                self.keep(f"asked {message['method']}", without_id(text, message["id"]))
            else:
                self.take(text)


def without_id(text, identifier):
    """Blanks the id, wherever in the envelope it stands."""
    return re.sub(rf'"id":\s*{re.escape(json.dumps(identifier))}', '"id":#', text, count=1)
