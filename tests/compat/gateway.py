"""The gateway under test: its configuration, its start, its end and what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import threading
import uuid
from pathlib import Path

import software

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30
MARK = "PORTCULLIS_COMPAT_RUN"


class GatewayError(Exception):
    """The gateway did not start, did not end or left something behind."""


class Gateway:
    """A running `portcullis serve`. Its servers carry a mark in their environment, by which survivors are found."""

    def __init__(self, binary, servers, scratch):
        self.log = []
        self.mark = str(uuid.uuid4())
        self.listening = threading.Event()
        self.base = None
        self.binary = binary
        self.configuration = configuration = scratch / "portcullis.json"
        configuration.write_text(json.dumps({"servers": self.records(servers)}, indent=2))
        command = [binary, "serve", "--config", str(configuration), "--listen", "127.0.0.1:0"]
        environment = {**os.environ, "XDG_STATE_HOME": str(scratch / "state"), "NO_COLOR": "1"}
        try:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace",
            )
        except OSError as error:
            raise GatewayError(f"cannot start {binary}: {error}") from error
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if not self.listening.wait(START_TIMEOUT_S) or self.base is None:
            self.process.kill()
            self.process.wait()
            raise GatewayError(f"it ended or named no address within {START_TIMEOUT_S} s; it said\n{self.tail()}")

    def records(self, servers):
        return {name: server.record({MARK: self.mark}) for name, server in servers.items()}

    def as_server(self, name):
        """How a client starts a gateway of its own in front of one of the servers."""
        return software.Server(self.binary, ["stdio", "--config", str(self.configuration), "--server", name])

    def read(self):
        """Keeps the log and finds the address in it, whatever the line around it looks like."""
        for line in self.process.stdout:
            self.log.append(line)
            plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
            found = re.search(r"(?:http://)?(127\.0\.0\.1:[1-9]\d*)", plain)
            if self.base is None and found and "listen" in plain.lower():
                self.base = f"http://{found[1]}"
                self.listening.set()
        self.listening.set()  # the end of its output: nothing more to wait for

    def tail(self):
        return "".join(self.log[-40:])

    def stop(self):
        """Ends the gateway as an operator would and complains about anything that outlives it."""
        if self.process.poll() is not None:
            raise GatewayError(f"it ended by itself with {self.process.returncode}; it said\n{self.tail()}")
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            self.process.wait()
            raise GatewayError(f"still there {STOP_TIMEOUT_S} s after SIGTERM; it said\n{self.tail()}") from error
        left = survivors(self.mark)
        for pid, _ in left:
            os.kill(pid, signal.SIGKILL)
        if left:
            raise GatewayError(f"left behind: {', '.join(f'{command} ({pid})' for pid, command in left)}")
        if code != 0:
            raise GatewayError(f"ended with {code}; it said\n{self.tail()}")


def survivors(mark):
    """Every process that carries the mark, however far it moved from its parent."""
    needle = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append((int(entry.name), command))
        except OSError:
            continue  # it ended meanwhile, or it belongs to somebody else
    return found
