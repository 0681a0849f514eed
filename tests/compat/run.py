"""Runs published MCP clients against published MCP servers through the gateway, and compares with no gateway at all.

usage: run.py [BINARY] [--url-template URL] [--client TEXT] [--transport NAME] [--server NAME]

BINARY is the `portcullis` to test; `--url-template http://127.0.0.1:3001/{server}/mcp` tests something that runs
already. A cell of the table is one client over one transport with one server. First each client talks to each server
over stdio; what came back then is what must come back through the gateway, byte for byte: over HTTP, HTTP+SSE,
WebSocket (ws), and over stdio to a gateway that the client starts itself, `portcullis stdio` (pipe).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import gateway
import software

CELL_TIMEOUT_S = 150

EVERYTHING = """initialize tools resources templates prompts ping echo sum structured large unknown-tool progress
    concurrency sampling elicitation roots logging resource-read subscription prompt completion cancellation close"""

# The checks of each column. A client that reports one too few has failed, whatever its exit code.
CHECKS = {
    "everything": EVERYTHING,
    "everything-plain": "initialize tools progress concurrency subscription close",
    "filesystem": "initialize tools write read list refusal unknown-tool close",
    "memory": "initialize tools create read delete unknown-tool close",
    "time": "initialize tools now convert bad-zone unknown-tool close",
}
CHECKS = {column: names.split() for column, names in CHECKS.items()}


def served_by(column):
    """The server behind a column: two of them are one server with different clients."""
    return column.removesuffix("-plain")


@dataclass
class Cell:
    """What one client saw of one server."""

    client: str
    transport: str
    column: str
    passed: int
    failures: list
    seconds: float
    transcript: dict

    def shown(self):
        total = len(CHECKS[self.column])
        return f"{self.passed}/{total} {self.seconds:.1f}s" if not self.failures else f"{self.passed}/{total} FAILED"


# ---- one cell


def run_cell(client, transport, column, scratch, server, url):
    """Starts the client and reads its report."""
    transcript = scratch / "transcript.json"
    transcript.unlink(missing_ok=True)
    command = [*client.command, "--server", column, *arguments(client, transport, scratch, server, url, transcript)]
    environment = {**os.environ, **client.env, **(server.env if transport == "stdio" else {})}
    started = time.monotonic()
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
    passed, failures = judge(column, output, errors, process.returncode)
    seen = json.loads(transcript.read_text()) if transcript.exists() else {}
    seconds = time.monotonic() - started
    return Cell(client.name, client.spoken(transport), column, passed, failures, seconds, seen)


def arguments(client, transport, scratch, server, url, transcript):
    is_stdio = transport in ("stdio", "pipe")
    words = ["--directory", str(scratch / "files")]
    if "rmcp" not in client.name:  # that one speaks Streamable HTTP only and keeps no transcript
        words += ["--transcript", str(transcript), "--transport", "stdio" if is_stdio else transport]
    if "typescript" not in client.name:
        words += ["--mode", client.mode]
    return [*words, "--", server.command, *server.args] if is_stdio else [*words, "--url", url]


def judge(column, output, errors, code):
    """The number of passed checks, and a line for everything that is wrong."""
    reports = {}
    for line in output.splitlines():
        try:
            report = json.loads(line)
            reports[report["check"]] = report
        except (ValueError, KeyError, TypeError):
            continue  # something a library printed
    failures = [f"{name}: {report.get('saw')}" for name, report in reports.items() if not report["ok"]]
    failures += [f"{name}: not reported" for name in CHECKS[column] if name not in reports]
    if failures or code != 0:
        failures.append(f"exit code {code}; it said\n{errors[-1500:]}")
    return sum(report["ok"] for report in reports.values()), failures


# ---- the comparison


def compare(direct, cell):
    """Notes every recorded result that is not what the same client saw without a gateway."""
    for label, expected in direct.transcript.items():
        seen = cell.transcript.get(label)
        if label == "initialize" and cell.column.endswith("-plain"):
            # A client that may share its process with others has no log of its own, and is told so.
            expected, seen = (without_logging(result) for result in (expected, seen))
        if (one := json.dumps(expected)) != (other := json.dumps(seen)):
            at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
            start = max(at - 60, 0)
            saw = f"directly …{one[start:at + 100]}\n        through  …{other[start:at + 100]}"
            cell.failures.append(f"{label}: not the answer of the direct connection\n        {saw}")


def without_logging(result):
    if not isinstance(result, dict):
        return result
    capabilities = {name: value for name, value in result.get("capabilities", {}).items() if name != "logging"}
    return {**result, "capabilities": capabilities}


# ---- the table


def print_table(cells):
    columns = [column for column in CHECKS if any(cell.column == column for cell in cells)]
    rows = {}
    for cell in cells:
        rows.setdefault((cell.client, cell.transport), {})[cell.column] = cell.shown()
    lines = [["client", "transport", *columns]]
    lines += [[*row, *(shown.get(column, "") for column in columns)] for row, shown in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip())


def print_failures(cells):
    for cell in cells:
        for failure in cell.failures:
            print(f"\n{cell.client}, {cell.transport}, {cell.column}: {failure}")


# ---- the run


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", help="the portcullis to test")
    parser.add_argument("--url-template", help="test what listens there; {server} is replaced")
    parser.add_argument("--client", default="", help="only clients whose name contains this")
    parser.add_argument("--transport", choices=["http", "sse", "ws", "pipe"], help="only this transport")
    parser.add_argument("--server", choices=CHECKS, action="append", help="only this server; may be repeated")
    options = parser.parse_args()
    if (options.binary is None) == (options.url_template is None):
        parser.error("name either a binary or --url-template")
    return options


def run_all(options, scratch, servers, template, tested):
    """The direct cells, then those through the gateway, each compared with its direct one."""
    chosen = [client for client in software.clients() if options.client in client.name]
    columns = options.server or list(CHECKS)
    cells, direct = [], {}
    for transport in ["stdio", "http", "sse", "ws"] + ["pipe"] * (tested is not None):
        for client in chosen:
            if transport not in client.transports or options.transport not in (None, transport) and transport != "stdio":
                continue
            for column in columns:
                server = served_by(column)
                url = template.replace("{server}", server)
                started = tested.as_server(server) if transport == "pipe" else servers[server]
                cell = run_cell(client, transport, column, scratch, started, url)
                if transport == "stdio":
                    direct[client.name, column] = cell
                elif (client.name, column) in direct:
                    compare(direct[client.name, column], cell)
                mark = "FAILED" if cell.failures else "ok"
                print(f"{mark:6} {cell.client}, {cell.transport}, {column}, {cell.seconds:.1f} s", flush=True)
                cells.append(cell)
    return cells


def main():
    options = parse()
    try:
        software.install_all()
    except software.InstallError as error:
        print(f"cannot install the published software: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="portcullis-compat-") as directory:
        scratch = Path(directory).resolve()
        servers = software.servers(scratch)
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
    if complaint:
        print(complaint)
    elif tested:
        print("the gateway ended at SIGTERM and left no process behind")
    return 1 if complaint or not cells or any(cell.failures for cell in cells) else 0


if __name__ == "__main__":
    sys.exit(main())
