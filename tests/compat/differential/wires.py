"""The ways to a server: each sends texts and hands every text that comes back to `deliver`, as it came."""

import base64
import http.client
import json
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

TIMEOUT_S = 60
STOP_S = 2
MODERN = "2026-07-28"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
# Arguments that go along in a header, by their tool (`x-mcp-header`).
MIRRORED = {"test_x_mcp_header": {"region": "Mcp-Param-Region"}}


class Stdio:
    """A process and its pipes: a server, or a gateway in front of one."""

    def __init__(self, server, environment, deliver):
        self.process = subprocess.Popen(
            [server.command, *server.args], env={**environment, **server.env}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        self.deliver = deliver
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.deliver(line.decode().removesuffix("\n"))

    def send(self, text, _message):
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def opened(self, _version):
        pass

    def close(self):
        """Ends the process, politely at first, and whatever it has started."""
        self.process.stdin.close()
        for blow in (signal.SIGTERM, signal.SIGKILL):
            try:
                self.process.wait(STOP_S)
                break
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, blow)
        self.process.wait()
        self.reader.join(STOP_S)


class Http:
    """Streamable HTTP: a POST for each message, on a connection of its own, and in the handshake era one GET."""

    def __init__(self, host, path, deliver):
        self.host = host
        self.path = path
        self.deliver = deliver
        self.session = None
        self.version = None
        self.posts = ThreadPoolExecutor(16)
        self.listening = None

    def send(self, text, message):
        """A request is answered when it is; everything else has arrived when this returns."""
        post = self.posts.submit(self.post, text, message)
        if "method" not in message or "id" not in message:
            post.result(TIMEOUT_S)
        else:
            post.add_done_callback(self.complain)

    def complain(self, post):
        if post.exception():
            self.deliver(json.dumps({"failed": repr(post.exception())}))

    def post(self, text, message):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.version == MODERN:
            headers |= mirrored(message)
        response = self.request("POST", headers, text.encode())
        with response:
            if "id" in message and "method" in message:
                self.session = response.getheader("mcp-session-id", self.session)
            self.read(response)

    def request(self, method, headers, body=None):
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        if self.version:
            headers["MCP-Protocol-Version"] = self.version
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        connection.request(method, self.path, body, headers)
        return connection.getresponse()

    def read(self, response):
        if response.getheader("content-type", "").startswith("text/event-stream"):
            for line in response:
                if line.startswith(b"data: ") and (data := line[6:].strip()):
                    self.deliver(data.decode())
        elif body := response.read():
            self.deliver(body.decode())

    def opened(self, version):
        """Says the version from now on, and listens."""
        self.version = version
        if self.session:
            response = self.request("GET", {"Accept": "text/event-stream"})
            if response.status != 200:
                raise OSError(f"GET: {response.status} {response.read()[:200]}")
            self.listening = threading.Thread(target=self.read, args=(response,), daemon=True)
            self.listening.start()

    def close(self):
        """Ends the session, and hears what was still to be said."""
        if self.session:
            self.request("DELETE", {}).read()
        if self.listening:
            self.listening.join(TIMEOUT_S)
        self.posts.shutdown()


def mirrored(message):
    """The headers of a modern request, which say what its body says."""
    headers = {"Mcp-Method": message["method"]}
    params = message.get("params", {})
    if name := params.get(NAMED.get(message["method"])):
        headers["Mcp-Name"] = header_value(name)
    arguments = params.get("arguments", {})
    for argument, header in MIRRORED.get(name, {}).items():
        if isinstance(value := arguments.get(argument), str):
            headers[header] = header_value(value)
    return headers


def header_value(text):
    is_plain = text.isascii() and text.isprintable() and text == text.strip() and text
    return text if is_plain else f"=?base64?{base64.b64encode(text.encode()).decode()}?="
