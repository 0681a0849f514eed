"""Drives one MCP server with the published Inspector's CLI and reports each check as one JSON line.

usage: inspector.py --cli NODE,SCRIPT --server NAME --transport http|stdio --era legacy|modern [--url URL]
       [--directory DIR] --transcript FILE [-- COMMAND ARGS...]

Each check is a run of the CLI: it connects, asks one thing, prints the result and ends. The transcript holds the results.
"""

import argparse
import json
import subprocess
import sys

DEADLINE_S = 30
# The Inspector's own 15 s are few for a server that npx starts on a busy machine.
CONNECT_MS = 25_000


def tool(name, **arguments):
    return ["tools/call", "--tool-name", name, "--tool-args-json", json.dumps(arguments)]


def read(uri):
    return ["resources/read", "--uri", uri]


def prompt(name, **arguments):
    pairs = [f"{name}={value}" for name, value in arguments.items()]
    return ["prompts/get", "--prompt-name", name, "--prompt-args", *pairs]


def checks(server, directory):
    """The requests by the name of their check, each with a text that its result must hold."""
    common = {"initialize": (["initialize"], NAMES[server]), "tools": (["tools/list"], "inputSchema")}
    convert = tool("convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Tokyo")
    own = {
        "everything": {
            "call": (tool("echo", message="grüß dich 🦀 \u2028"), "Echo: grüß dich 🦀 \u2028"),
            "resource-read": (read("demo://resource/static/document/features.md"), "text/markdown"),
            "prompt": (prompt("args-prompt", city="Oslo", state="Norway"), "What's weather in Oslo, Norway?"),
        },
        "filesystem": {"call": (tool("list_directory", path=directory), "content")},
        "memory": {"call": (tool("search_nodes", query="nobody is called so"), "entities")},
        "time": {"call": (convert, "T21:00:00+09:00")},
        "mock": {
            "call": (tool("echo", message="grüß dich 🦀", deep=[{"n": 1.5}]), "grüß dich 🦀"),
            "resource-read": (read("test://static-text"), "test://static-text"),
            "prompt": (prompt("test_prompt_with_arguments", arg1="one", arg2="two"), "one"),
        },
    }
    return {**common, **own[server]}


NAMES = {
    "everything": "mcp-servers/everything",
    "filesystem": "secure-filesystem-server",
    "memory": "memory-server",
    "time": "mcp-time",
    "mock": "portcullis-mock",
}


def run(options, request):
    """The result that the CLI prints."""
    where = ["--transport", "http", "--server-url", options.url] if options.url else ["--", *options.command]
    command = [*options.cli.split(","), "--cli", "--protocol-era", options.era, "--format", "json", "--quiet",
               "--connect-timeout", str(CONNECT_MS), "--method", *request, *where]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S)
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode}: {done.stdout[-500:]} {done.stderr[-1000:]}")
    return json.loads(done.stdout)["result"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cli", required=True)
    parser.add_argument("--server", choices=NAMES, required=True)
    parser.add_argument("--transport", choices=["http", "stdio"], required=True)
    parser.add_argument("--era", choices=["legacy", "modern"], required=True)
    parser.add_argument("--url")
    parser.add_argument("--directory")
    parser.add_argument("--transcript", required=True)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    transcript, failures = {}, 0
    for name, (request, expected) in checks(options.server, options.directory).items():
        report = {"check": name, "ok": True}
        try:
            transcript[name] = result = run(options, request)
            if expected not in json.dumps(result, ensure_ascii=False).replace("\\n", "\n"):
                raise AssertionError(f"no {expected!r} in {str(result)[:500]}")
        except Exception as error:
            report, failures = {"check": name, "ok": False, "saw": f"{error!r}"[:2000]}, failures + 1
        print(json.dumps(report), flush=True)
    with open(options.transcript, "w") as file:
        json.dump(transcript, file, indent=1, ensure_ascii=False)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
