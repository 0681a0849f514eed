#!/usr/bin/env python3
"""Compares servers with themselves behind the gateway, by the published conformance suites.

    tests/conformance/beside_direct.py target/release/portcullis

The suites speak HTTP: each server serves them over Streamable HTTP itself, and stands behind the gateway as a remote
server and over stdio. One is published, `server-everything`: it was not made for the suites and does not pass them all. The
other is `sdk/server.mjs`, which was, with the published TypeScript SDK; it speaks both eras, so that the gateway stands
between eras too. What counts is the difference: no check may fail through the gateway that does not fail directly, and no
scenario may go missing. What is information to the suites, not a check, may differ: the gateway gives short answers as
JSON, not as a stream.
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compat"))

import gateway
import software

PATIENCE = 60
# Every session has a server of its own, as it has where there is no gateway.
ALONE = {"sharing": "session", "instances-max": 512, "idle-timeout": "30s"}
# Without sessions those who call and those who listen meet at one server, which tells of changes.
TOGETHER = {"instances-max": 512, "idle-timeout": "30s"}

# What no server with a handshake can do, and what this one does not, for suites that are clients without.
OF_THE_HANDSHAKE = {
    # It asks one thing after the other and under no key, and does not hear what it has not asked.
    "sep-2322-elicitation-incomplete",
    "sep-2322-multiple-inputs-incomplete",
    # The SDK tells a client with a handshake in a tool's result, not in an error, that it cannot be asked.
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
}


@dataclass(frozen=True)
class Subject:
    """A server that serves itself, over HTTP if $PORT says where, and is served by the gateway."""

    name: str
    over_http: list
    over_stdio: list
    eras: tuple
    env: dict = field(default_factory=dict)

    def records(self, url):
        """The servers of the gateway's configuration: however it is reached, whatever its era, for either suite."""
        ways = {"http": {"type": "http", "url": url}, "stdio": {"command": "node", "args": self.over_stdio}}
        return {
            name_of(way, speaks, suite): Record(
                {**how, "protocol-era": speaks, **(ALONE if suite == "legacy" else TOGETHER)},
                self.env if way == "stdio" else None,
            )
            for way, how in ways.items() for speaks in self.eras for suite in self.eras
        }


@dataclass(frozen=True)
class Record:
    """One entry of the gateway's configuration; only a process has an environment."""

    settings: dict
    env: dict | None

    def record(self, env):
        return self.settings if self.env is None else {**self.settings, "env": {**self.env, **env}}


def name_of(way, speaks, suite):
    return f"{way}-{speaks}-{suite}"


def main(binary):
    software.install_packages()
    everything = str(software.EVERYTHING)
    own = software.sdk_server()
    subjects = [
        Subject(f"server-everything {software.PINS['@modelcontextprotocol/server-everything']}",
                [everything, "streamableHttp"], [everything], ("legacy",)),
        Subject(f"a server of the TypeScript SDK {software.PINS['@modelcontextprotocol/server']}",
                own.args, own.args, own.eras, own.env),
    ]
    worse = [line for subject in subjects for line in judge(binary, subject)]
    print("\n".join(f"✗ {line}" for line in worse) or "nothing fails through the gateway that does not fail directly")
    return 1 if worse else 0


def judge(binary, subject):
    """Runs the suites of the eras that a server speaks, directly and through the gateway, and prints what passes where.
    Returns what is worse through the gateway."""
    cells = [(way, speaks, suite) for suite in subject.eras for speaks in subject.eras for way in ("http", "stdio")]
    with tempfile.TemporaryDirectory() as work, serving(subject, pathlib.Path(work)) as url:
        work = pathlib.Path(work)
        direct = {suite: checks(url, suite, work / f"direct-{suite}") for suite in subject.eras}
        tested = gateway.Gateway(binary, subject.records(url), work)
        try:
            base = tested.base.replace("127.0.0.1", "localhost")
            with ThreadPoolExecutor(2) as pool:
                run = lambda cell: checks(f"{base}/mcp/{name_of(*cell)}", cell[2], work / name_of(*cell))
                found = dict(zip(cells, pool.map(run, cells)))
        finally:
            tested.stop()
    worse = []
    for suite, results in direct.items():
        for run in sorted({key[0] for key in results}):
            print(f"conformance of {subject.name}, {run}: direct {tally(results, run)}")
            for cell in cells:
                if cell[2] == suite:
                    print(f"    {cell[1]} over {cell[0]} behind the gateway: {tally(found[cell], run)}")
        for cell in cells:
            if cell[2] == suite:
                excused = OF_THE_HANDSHAKE if (suite, cell[1]) == ("modern", "legacy") else set()
                worse += [f"{subject.name}, {cell[1]} over {cell[0]}: {line}"
                          for line in losses(results, found[cell], excused)]
    return worse


@contextmanager
def serving(subject, work):
    """Starts a server that listens by itself; gives its URL."""
    port = free_port()
    environment = {**os.environ, **subject.env, "PORT": str(port)}
    with (work / "server.log").open("w") as log:
        server = subprocess.Popen(["node", *subject.over_http], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  env=environment)
    try:
        await_listener(port, server, work / "server.log")
        yield f"http://localhost:{port}/mcp"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def checks(url, suite, out):
    """Runs the suites of an era, and returns what became of each check, by run, scenario and id."""
    environment = {**os.environ, "CONFORMANCE_OUT": str(out)}
    run = subprocess.run(
        [str(HERE / "run.sh"), url, suite], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    found = {}
    for file in sorted(out.glob("**/checks.json")):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT[\dZ-]+$", "", file.parent.name)
        name = str(file.parent.parent.relative_to(out))
        for check in json.loads(file.read_text()):
            found.setdefault((name, scenario, check["id"]), []).append(check)
    if not found:
        sys.exit(f"no results from {url}:\n{run.stdout}")
    return found


def losses(direct, through, excused):
    """What fails or is missing through the gateway and not directly."""
    gone = {key[:2] for key in direct} - {key[:2] for key in through}
    yield from (f"{' '.join(scenario)}: not run" for scenario in sorted(gone))
    for key, those in through.items():
        if key[2] not in excused and len(failed(those)) > len(failed(direct.get(key, []))):
            yield f"{' '.join(key)}: {failed(those)[-1].get('errorMessage', 'no reason given')}"


def tally(checks, run):
    those = [one for key, many in checks.items() if key[0] == run for one in many]
    passed = sum(one["status"] == "SUCCESS" for one in those)
    return f"{passed} passed, {len(failed(those))} failed"


def failed(checks):
    return [one for one in checks if one["status"] == "FAILURE"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_listener(port, server, log):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > until:
                sys.exit(f"the server does not listen; it said:\n{log.read_text()}")
            time.sleep(0.1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} BINARY")
    try:
        sys.exit(main(sys.argv[1]))
    except (software.InstallError, gateway.GatewayError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
