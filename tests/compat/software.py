"""The published software: which versions, where they are installed, how each server and client is started.

Everything lands in `${XDG_CACHE_HOME:-~/.cache}/portcullis/compat` and is installed once per change of a pin.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "portcullis" / "compat"
NODE = CACHE / "node"
PACKAGES = NODE / "node_modules" / "@modelcontextprotocol"
RMCP_TARGET = CACHE / "rmcp-target"
NPX_CACHE = CACHE / "npx"
INSPECTOR = CACHE / "inspector"
PINS = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
EVERYTHING = PACKAGES / "server-everything" / "dist" / "index.js"
MEMORY_PACKAGE = f"@modelcontextprotocol/server-memory@{PINS['@modelcontextprotocol/server-memory']}"
INSTALL_TIMEOUT_S = 900


class InstallError(Exception):
    """Something could not be installed; the message names the command and ends with what it printed."""


# ---- servers


@dataclass(frozen=True)
class Server:
    """How a server is started, in the words of the gateway's configuration."""

    command: str
    args: list
    env: dict = field(default_factory=dict)
    # The eras in which it speaks.
    eras: tuple = ("legacy",)
    # What else the gateway is told of it.
    settings: dict = field(default_factory=dict)

    def record(self, env):
        """What the gateway's configuration says of it, with this added to its environment."""
        return {"command": self.command, "args": self.args, "env": {**self.env, **env}, **self.settings}


def servers(scratch, binary=None):
    """The servers by name; what they write goes below `scratch`. The mock, which is there to be one of the newer era
    that asks, is `binary`'s."""
    files = scratch / "files"
    files.mkdir()
    # npx as people write it in their client's configuration; only the place of its cache is ours.
    npx = {
        "npm_config_cache": str(NPX_CACHE),
        "npm_config_prefer_offline": "true",
        "npm_config_update_notifier": "false",
        "MEMORY_FILE_PATH": str(scratch / "memory.jsonl"),
    }
    return {
        # What it offers depends on all that its client can do, roots too; and the Inspector leaves its sessions behind.
        "everything": Server("node", [str(EVERYTHING)],
                             settings={"client-features": ["sampling", "elicitation", "roots"], "instances-max": 32}),
        "filesystem": Server("node", [str(PACKAGES / "server-filesystem" / "dist" / "index.js"), str(files)]),
        "memory": Server("npx", ["-y", MEMORY_PACKAGE], npx),
        "time": Server(str(python_of(2)), ["-m", "mcp_server_time"], eras=("legacy", "modern")),
        **({"mock": Server(binary, ["mock-server", "--era", "modern"], eras=("modern",))} if binary else {}),
    }


def sdk_server():
    """One that is made with the TypeScript SDK, speaks both eras and asks its client in both."""
    script = HERE.parent / "conformance" / "sdk" / "server.mjs"
    return Server("node", [str(script)], {"COMPAT_NODE_PREFIX": str(NODE)}, eras=("legacy", "modern"))


# ---- clients


def python_of(generation):
    return CACHE / f"python-{generation}" / "bin" / "python"


@dataclass(frozen=True)
class Client:
    """One published client, with the transports it is run over."""

    name: str
    command: list
    transports: tuple
    # `legacy` with the handshake, up to 2025-11-25; `modern` without, from 2026-07-28.
    era: str = "legacy"
    env: dict = field(default_factory=dict)
    # What it is asked to do: `CHECKS` of run.py.
    checks: str = "sdk"

    @property
    def language(self):
        return self.name.split()[0]


def clients():
    rmcp = [str(RMCP_TARGET / "release" / "compat-rmcp-client")]
    common = ("stdio", "http", "sse", "pipe")
    found = [
        Client(f"typescript {PINS['@modelcontextprotocol/sdk']}", typescript(1), (*common, "ws"), env=NODE_ENV),
        Client(f"python {pinned('mcp', 1)}", python(1), common),
    ]
    for era, transports in (("legacy", common), ("modern", ("stdio", "http", "pipe"))):
        found += [
            Client(f"typescript {PINS['@modelcontextprotocol/client']}", typescript(2), transports, era, NODE_ENV),
            Client(f"python {pinned('mcp', 2)}", python(2), transports, era),
            Client(f"rmcp {rmcp_version()}", rmcp, ("stdio", "http", "pipe"), era),
            Client(f"inspector {inspector_version()}", inspector(), ("stdio", "http"), era, checks="inspector"),
        ]
    return found


NODE_ENV = {"COMPAT_NODE_PREFIX": str(NODE)}


def typescript(generation):
    return ["node", str(HERE / "client.mjs"), "--sdk", str(generation)]


def python(generation):
    return [str(python_of(generation)), "-W", "ignore", str(HERE / "client.py")]


def inspector():
    """Its CLI, with a Node that is new enough for it."""
    modules = INSPECTOR / "node_modules"
    script = modules / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
    return [sys.executable, str(HERE / "inspector.py"), "--cli", f"{modules / 'node' / 'bin' / 'node'},{script}"]


def inspector_version():
    return json.loads((HERE / "inspector" / "package.json").read_text())["dependencies"]["@modelcontextprotocol/inspector"]


def pinned(package, generation):
    """The pinned version of a Python package."""
    for line in requirements(generation).read_text().splitlines():
        if line.startswith(f"{package}=="):
            return line.split("==")[1]
    raise InstallError(f"{requirements(generation)} does not pin {package}")


def rmcp_version():
    manifest = (HERE / "rmcp-client" / "Cargo.toml").read_text()
    return manifest.split('rmcp = { version = "=')[1].split('"')[0]


# ---- installation


def requirements(generation):
    return HERE / "python" / f"sdk-{generation}.txt"


def run(*command, cwd=None, env=None):
    """Runs an installer quietly and explains a failure."""
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=INSTALL_TIMEOUT_S,
        )
    except FileNotFoundError as error:
        raise InstallError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{' '.join(command)}: not done after {INSTALL_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise InstallError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout[-3000:]}")


def once(folder, pins, install):
    """Calls `install` unless `folder` holds what these pin files describe."""
    digest = hashlib.sha256(b"".join(pin.read_bytes() for pin in pins)).hexdigest()
    stamp = folder / ".pins"
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"installing {folder.name} into {CACHE}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    install(folder)
    stamp.write_text(digest)


def install_node(folder):
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / folder.name / name, folder)
    run("npm", "ci", "--no-audit", "--no-fund", cwd=folder)


def install_npx(folder):
    # It starts the server, which ends at once because its standard input is closed.
    environment = {"npm_config_cache": str(folder), "MEMORY_FILE_PATH": str(folder / "memory.jsonl")}
    run("npx", "-y", MEMORY_PACKAGE, env=environment)


def install_python(generation):
    def install(folder):
        run(sys.executable, "-m", "venv", str(folder))
        run(str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--requirement",
            str(requirements(generation)))

    return install


def install_packages(folder=NODE):
    """Installs the packages of npm that a folder beside this file pins, if they are missing."""
    once(folder, [HERE / folder.name / name for name in ("package.json", "package-lock.json")], install_node)


def install_all():
    """Installs what is missing; with everything in place this takes a second. Returns whether that was possible, and says
    what was not."""
    try:
        install_missing()
    except InstallError as error:
        print(f"cannot install the published software: {error}", file=sys.stderr)
        return False
    return True


def install_missing():
    for folder in (NODE, INSPECTOR):
        install_packages(folder)
    once(NPX_CACHE, [HERE / "node" / "package.json"], install_npx)
    for generation in (1, 2):
        once(CACHE / f"python-{generation}", [requirements(generation)], install_python(generation))
    # Cargo knows by itself what is up to date.
    cargo = os.environ.get("CARGO", "cargo")
    manifest = str(HERE / "rmcp-client" / "Cargo.toml")
    run(cargo, "build", "--release", "--locked", "--quiet", "--manifest-path", manifest,
        env={"CARGO_TARGET_DIR": str(RMCP_TARGET)})
