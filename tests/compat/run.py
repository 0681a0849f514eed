"""Runs published MCP clients against published MCP servers through the gateway, and compares with no gateway at all.

usage: run.py [BINARY] [--url-template URL] [--client TEXT] [--era ERA] [--transport NAME] [--server NAME]

BINARY is the `portcullis` to test; `--url-template http://127.0.0.1:3001/{server}/mcp` tests something that runs
already. A cell of the table is one client, speaking in one era over one transport, with one server. First each client
talks to each server over stdio, in its own era; where the server does not speak that, the same client in the other one
stands for it, or its SDK's other generation. What came back then is what must come back through the gateway, byte for
byte, and across the eras what both of them have (results.py): over HTTP, HTTP+SSE, WebSocket (ws), and over
stdio to a gateway that the client starts itself, `portcullis stdio` (pipe).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gateway
import results
import software

CELL_TIMEOUT_S = 150
# Columns that are worked on at once: most of the time a cell waits for programs to start.
LANES = 3

EVERYTHING = """initialize tools resources templates prompts ping echo sum structured large unknown-tool progress
    concurrency sampling elicitation roots logging resource-read subscription prompt completion cancellation close"""
MOCK = """initialize tools resources prompts echo contents failure progress sampling elicitation resource-read subscription
    prompt unknown-tool close"""

# The checks of each column. A client that reports one too few has failed, whatever its exit code.
CHECKS = {
    "sdk": {
        "everything": EVERYTHING,
        "everything-plain": "initialize tools progress concurrency subscription close",
        "filesystem": "initialize tools write read list refusal unknown-tool close",
        "memory": "initialize tools create read delete unknown-tool close",
        "time": "initialize tools now convert bad-zone unknown-tool close",
        "mock": MOCK,
    },
    "inspector": {
        "everything": "initialize tools call resource-read prompt",
        "filesystem": "initialize tools call",
        "memory": "initialize tools call",
        "time": "initialize tools call",
        "mock": "initialize tools call resource-read prompt",
    },
}
COLUMNS = list(CHECKS["sdk"])
# What only the handshake has, and what it takes a session for: a log, and subscriptions of one that has the server alone.
WITH_HANDSHAKE = {"everything": {"ping", "logging", "subscription"}}


def checks_of(client, column):
    without = WITH_HANDSHAKE.get(column, set()) if client.era == "modern" else set()
    return [name for name in CHECKS[client.checks].get(column, "").split() if name not in without]


def served_by(column):
    """The server behind a column: two of them are one server with different clients."""
    return column.removesuffix("-plain")


@dataclass
class Cell:
    """What one client saw of one server."""

    client: software.Client
    transport: str
    column: str
    # The era in which the server is spoken with, by the client or by the gateway.
    server_era: str
    passed: int
    failures: list
    seconds: float
    transcript: dict
    # How many of its results were compared.
    compared: int = 0

    @property
    def shares(self):
        """Whether the client may share the server's process with others."""
        return self.column != "everything"

    def shown(self):
        total = len(checks_of(self.client, self.column))
        return f"{self.passed}/{total} {self.seconds:.1f}s" if not self.failures else f"{self.passed}/{total} FAILED"


# ---- one cell


def run_cell(client, transport, column, server_era, scratch, started, url):
    """Starts the client, which speaks to what is started or to what listens, and reads its report."""
    transcript = scratch / f"transcript-{column}.json"
    transcript.unlink(missing_ok=True)
    where = ["--", started.command, *started.args] if started else ["--url", url]
    command = [*client.command, "--server", column, "--era", client.era, "--directory", str(scratch / "files"),
               "--transcript", str(transcript), "--transport", "stdio" if transport == "pipe" else transport, *where]
    environment = {**os.environ, **client.env, **(started.env if started else {})}
    if client.checks == "inspector":
        environment["HOME"] = str(scratch)  # it keeps files there
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=CELL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # with the servers it may have started
        output, errors = process.communicate()
        errors += f"\nnot done after {CELL_TIMEOUT_S} s"
    passed, failures = judge(checks_of(client, column), output, errors, process.returncode)
    seen = json.loads(transcript.read_text()) if transcript.exists() else {}
    return Cell(client, transport, column, server_era, passed, failures, time.monotonic() - began, seen)


def judge(checks, output, errors, code):
    """The number of passed checks, and a line for everything that is wrong."""
    reports = {}
    for line in output.splitlines():
        try:
            report = json.loads(line)
            reports[report["check"]] = report
        except (ValueError, KeyError, TypeError):
            continue  # something a library printed
    failures = [f"{name}: {report.get('saw')}" for name, report in reports.items() if not report["ok"]]
    failures += [f"{name}: not reported" for name in checks if name not in reports]
    if failures or code != 0:
        failures.append(f"exit code {code}; it said\n{errors[-1500:]}")
    return sum(report["ok"] for report in reports.values()), failures


# ---- the table


def print_table(cells):
    columns = [column for column in COLUMNS if any(cell.column == column for cell in cells)]
    rows = {}
    for cell in cells:
        rows.setdefault((cell.client.name, cell.client.era, cell.transport), {})[cell.column] = cell.shown()
    lines = [["client", "era", "transport", *columns]]
    lines += [[*row, *(shown.get(column, "") for column in columns)] for row, shown in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip())


def print_failures(cells):
    for cell in cells:
        for failure in cell.failures:
            print(f"\n{cell.client.name}, {cell.client.era}, {cell.transport}, {cell.column}: {failure}")


# ---- the run


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", help="the portcullis to test")
    parser.add_argument("--url-template", help="test what listens there; {server} is replaced")
    parser.add_argument("--client", default="", help="only clients whose name contains this")
    parser.add_argument("--era", choices=["legacy", "modern"], help="only clients that speak in this era")
    parser.add_argument("--transport", choices=["http", "sse", "ws", "pipe"], help="only this transport")
    parser.add_argument("--server", choices=COLUMNS, action="append", help="only this server; may be repeated")
    options = parser.parse_args()
    if (options.binary is None) == (options.url_template is None):
        parser.error("name either a binary or --url-template")
    return options


TRANSPORTS = ["stdio", "http", "sse", "ws", "pipe"]


class Lane:
    """The cells of one column, one after the other."""

    def __init__(self, options, column, scratch, server, template, tested):
        self.options, self.column, self.scratch, self.server = options, column, scratch, server
        self.url = template.replace("{server}", served_by(column))
        self.tested = tested
        self.direct = []

    def run(self):
        clients = [client for client in software.clients() if checks_of(client, self.column)]
        cells = [self.cell(client, transport) for transport in TRANSPORTS for client in self.chosen(clients, transport)]
        return [cell for cell in cells if cell]

    def chosen(self, clients, transport):
        options = self.options
        if transport == "pipe" and not self.tested or transport != "stdio" and options.transport not in (None, transport):
            return []
        # Those of the newer era are compared with those of the handshake, too.
        eras = (None, "modern") if transport == "stdio" else (None,)
        return [client for client in clients if transport in client.transports and options.client in client.name
                and (options.era in eras or options.era == client.era)]

    def cell(self, client, transport):
        if transport == "stdio":
            if client.era not in self.server.eras:
                return None
            started, spoken = self.server, client.era
        else:
            started = self.tested.as_server(served_by(self.column)) if transport == "pipe" else None
            spoken = client.era if client.era in self.server.eras else self.server.eras[0]
        cell = run_cell(client, transport, self.column, spoken, self.scratch, started, self.url)
        if not cell.transcript:
            cell.failures.append("it recorded no result")
        if transport == "stdio":
            self.direct.append(cell)
        elif kin := [direct for direct in self.direct if direct.client.language == client.language]:
            direct = max(kin, key=lambda direct: (direct.client.name == client.name, direct.client.era == client.era))
            cell.failures += results.differences(direct, cell)
            cell.compared = len(direct.transcript)
        mark = "FAILED" if cell.failures else "ok"
        # In one piece: other lanes print too.
        print(f"{mark:6} {client.name}, {client.era}, {transport}, {self.column}, {cell.seconds:.1f} s\n", end="", flush=True)
        return cell


def run_all(options, scratch, servers, template, tested):
    """All cells, in the order of the table."""
    columns = [column for column in options.server or COLUMNS if served_by(column) in servers]
    lanes = [Lane(options, column, scratch, servers[served_by(column)], template, tested) for column in columns]
    with ThreadPoolExecutor(LANES) as pool:
        cells = [cell for lane in pool.map(Lane.run, lanes) for cell in lane]
    order = [(client.name, client.era) for client in software.clients()]
    return sorted(cells, key=lambda cell: (TRANSPORTS.index(cell.transport), order.index((cell.client.name, cell.client.era))))


def main():
    options = parse()
    if not software.install_all():
        return 2
    with tempfile.TemporaryDirectory(prefix="portcullis-compat-") as directory:
        scratch = Path(directory).resolve()
        servers = software.servers(scratch, options.binary)
        complaint, tested = None, None
        try:
            tested = gateway.Gateway(options.binary, servers, scratch) if options.binary else None
            template = f"{tested.base}/mcp/{{server}}" if tested else options.url_template
            cells = run_all(options, scratch, servers, template, tested)
        except gateway.GatewayError as error:
            print(f"the gateway: {error}", file=sys.stderr)
            return 1
        finally:
            try:
                if tested:
                    tested.stop()
            except gateway.GatewayError as error:
                complaint = f"the gateway: {error}"
    print_failures(cells)
    print()
    print_table(cells)
    print(f"{sum(cell.compared for cell in cells)} results compared with those of a direct connection")
    if complaint:
        print(complaint)
    elif tested:
        print("the gateway ended at SIGTERM and left no process behind")
    return 1 if complaint or not cells or any(cell.failures for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
