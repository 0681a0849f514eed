#!/usr/bin/env python3
"""Compares a published server with itself behind the gateway, by the published conformance suites.

    tests/conformance/beside_direct.py target/release/portcullis

The suites speak HTTP: `server-everything` serves them over Streamable HTTP itself; the same server stands behind the
gateway, once as a remote server and once over stdio. It was not made for the suites and does not pass them all, so what
counts is the difference: no check may fail through the gateway that does not fail directly, and no scenario may go missing.
What is information to the suites, not a check, may differ: the gateway gives short answers as JSON.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compat"))

import gateway
import software

VERSION = software.PINS["@modelcontextprotocol/server-everything"]
PATIENCE = 60
# Every session has a server of its own, as it has where there is no gateway.
ALONE = {"sharing": "session", "instances-max": 512, "idle-timeout": "30s"}


@dataclass(frozen=True)
class Remote:
    """A server that listens already."""

    url: str

    def record(self, _):
        return {"type": "http", "url": self.url, **ALONE}


def main(binary):
    software.install_packages()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        port = free_port()
        url = f"http://localhost:{port}/mcp"
        process = software.Server("node", [str(software.EVERYTHING)], settings=ALONE)
        command = [process.command, *process.args, "streamableHttp"]
        with (work / "server.log").open("w") as log:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PORT": str(port)}
            )
        try:
            await_listener(port)
            tested = gateway.Gateway(binary, {"remote": Remote(url), "process": process}, work)
            try:
                direct = checks(url, work / "direct")
                through = tested.base.replace("127.0.0.1", "localhost") + "/mcp"
                cells = {
                    "Streamable HTTP": checks(f"{through}/remote", work / "remote"),
                    "stdio": checks(f"{through}/process", work / "process"),
                }
            finally:
                tested.stop()
        finally:
            server.terminate()
            server.wait(PATIENCE)
    return report(direct, cells)


def checks(url, out):
    """Runs the suites, and returns what became of each check, by suite, scenario and id."""
    environment = {**os.environ, "CONFORMANCE_OUT": str(out)}
    run = subprocess.run(
        [str(HERE / "run.sh"), url, "legacy"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    found = {}
    for file in sorted(out.glob("**/checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT[\dZ-]+$", "", file.parent.name)
        suite = str(file.parent.parent.relative_to(out))
        for check in json.loads(file.read_text()):
            key = (suite, scenario, check["id"])
            found.setdefault(key, []).append(check)
    if not found:
        sys.exit(f"no results from {url}:\n{run.stdout}")
    return found


def report(direct, cells):
    """Prints what passes where, and what is worse through the gateway; returns the exit code."""
    suites = sorted({suite for suite, _, _ in direct})
    worse = []
    for suite in suites:
        line = [f"direct {tally(direct, suite)}"]
        line += [f"through the gateway, {name}, {tally(cell, suite)}" for name, cell in cells.items()]
        print(f"conformance of server-everything {VERSION}, {suite}: {'; '.join(line)}")
    for name, cell in cells.items():
        gone = {key[:2] for key in direct} - {key[:2] for key in cell}
        worse += [f"{name}: {' '.join(scenario)}: not run" for scenario in sorted(gone)]
        for key, those in cell.items():
            if len(failed(those)) > len(failed(direct.get(key, []))):
                worse.append(f"{name}: {' '.join(key)}: {failed(those)[-1].get('errorMessage', 'no reason given')}")
    print("\n".join(f"✗ {line}" for line in worse) or "nothing fails through the gateway that does not fail directly")
    return 1 if worse else 0


def tally(checks, suite):
    those = [one for key, many in checks.items() if key[0] == suite for one in many]
    passed = sum(one["status"] == "SUCCESS" for one in those)
    return f"{passed} passed, {len(failed(those))} failed"


def failed(checks):
    return [one for one in checks if one["status"] == "FAILURE"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_listener(port):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} BINARY")
    try:
        sys.exit(main(sys.argv[1]))
    except (software.InstallError, gateway.GatewayError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
