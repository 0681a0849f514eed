"""Plays the scripts of all servers in all versions, directly and through the gateway, and compares what was heard."""

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

import gateway
import software

from .explained import explained, is_own
from .responder import Responder
from .scripts import PNG, play
from .session import Session
from .shape import Unlike, difference
from .wires import MODERN, Http, Stdio

VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
# A version that there is not: how the server refuses it.
UNHEARD_OF = "1999-01-01"
DIRECT_RUNS = 2
# Where the gateway seems to differ, chance has that many more runs to show that it may.
MORE_RUNS = 4
AT_ONCE = 8
BOTH_ERAS = ("time", "sdk")
INHERITED = "HOME LOGNAME PATH SHELL TERM USER LANG LC_ALL LC_CTYPE TMPDIR TZ".split()


@dataclass(frozen=True)
class Case:
    """One server in one version, and how it is reached through the gateway."""

    server: str
    version: str
    way: str

    def name(self):
        return f"{self.server}-{self.version}-{self.way}"


def cases(chosen):
    """Every server in every version that it speaks over HTTP, and in the latest one of each era over pipes too."""
    for server in chosen:
        modern = [MODERN] * (server in BOTH_ERAS)
        for version in [UNHEARD_OF, *VERSIONS, *modern]:
            yield Case(server, version, "http")
        for version in [VERSIONS[-1], *modern]:
            yield Case(server, version, "pipe")


def capabilities(version):
    """What a client of the version may declare, all of it."""
    if version == MODERN:
        return {"roots": {}, "sampling": {}, "elicitation": {"form": {}, "url": {}}}
    declared = {"roots": {"listChanged": True}, "sampling": {}}
    if version >= "2025-06-18":
        declared["elicitation"] = {}
    if version >= "2025-11-25":
        asked = {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}}
        declared["elicitation"] = {"form": {}, "url": {}}
        declared["tasks"] = {"list": {}, "cancel": {}, "requests": asked}
    return declared


class Apart(gateway.Gateway):
    """A gateway that gives each session a process of its own: then it has nothing to hold back."""

    def records(self, servers):
        return {name: {**record, "sharing": "session"} for name, record in super().records(servers).items()}


@dataclass
class Report:
    """How much was compared, and what was not as it should be."""

    sessions: int = 0
    texts: int = 0
    failures: list = field(default_factory=list)


class Stage:
    """The gateway, the places in which servers write, and what they said directly so far."""

    def __init__(self, binary, scratch, chosen):
        self.scratch = scratch
        self.cases = list(cases(chosen))
        self.gateway = Apart(binary, {case.name(): self.prepare(case, case.way) for case in self.cases}, scratch)
        self.direct = {}

    def files(self, case, run):
        return self.scratch / f"{case.server}-{case.version}-{run}" / "files"

    def prepare(self, case, run):
        """Returns how the server is started for a run, so that it writes to a place of its own only."""
        files = self.files(case, run)
        files.parent.mkdir()
        servers = software.servers(files.parent)
        server = software.sdk_server() if case.server == "sdk" else servers[case.server]
        (files / "dot.png").write_bytes(base64.b64decode(PNG))
        return server

    def play(self, case, run, connect, goal):
        """Plays the script over a wire and returns the session, which has heard as much as `goal`, if that came."""
        files = self.files(case, run)
        roots = [files.as_uri()] if case.server == "filesystem" else ["file:///compat/one", "file:///compat/two"]
        session = Session(case.version, capabilities(case.version), Responder(roots))
        session.wire = connect(session.deliver)
        try:
            play(session, case.server, files)
            session.wait_for_all(goal.heard if goal else {})
        finally:
            session.wire.close()
        if goal:
            session.take_rest()
        return session

    def play_directly(self, case, number):
        server = self.prepare(case, f"direct{number}")
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment = dict(sorted({**kept, **server.env, gateway.MARK: self.gateway.mark}.items()))
        return self.play(case, f"direct{number}", lambda deliver: Stdio(server, environment, deliver), None)

    def play_through(self, case):
        def connect(deliver):
            if case.way == "pipe":
                return Stdio(self.gateway.as_server(case.name()), dict(os.environ), deliver)
            return Http(self.gateway.base.removeprefix("http://"), f"/mcp/{case.name()}", deliver)

        return self.play(case, case.way, connect, self.direct[case.server, case.version][0])

    def learn(self, case, number):
        """Plays a script directly once more."""
        session = self.play_directly(case, number)
        self.direct.setdefault((case.server, case.version), []).append(session)

    def judge(self, case, session, report):
        """Compares; where that fails, chance gets another run, as often as it may."""
        runs = self.direct[case.server, case.version]
        while (complaints := differences(runs, session, case)) and len(runs) < DIRECT_RUNS + MORE_RUNS:
            self.learn(case, len(runs))
        report.sessions += 1
        report.texts += len(session.order)
        report.failures += [f"{case.name()}: {complaint}" for complaint in complaints]


def differences(direct, through, case):
    """Returns a line for every label under which something else was heard than directly, or in another order."""
    found = misplaced(direct, through) if case.way == "pipe" else []
    for label in sorted({*through.heard, *direct[0].heard}):
        *rows, seen = (explained(label, session.heard.get(label, [])) for session in [*direct, through])
        if len({len(row) for row in rows}) > 1:
            found.append(f"{label}: direct runs have {[len(row) for row in rows]} of them")
        elif len(seen) != len(rows[0]):
            last = (seen or rows[0])[-1][:300]
            found.append(f"{label}: {len(rows[0])} directly, {len(seen)} through the gateway: {last}")
        else:
            found += [f"{label}: {complaint}" for complaint in map(compared, zip(*rows), seen) if complaint]
    return found


def misplaced(direct, through):
    """Returns a line where a channel brought something before what it came after in all direct runs."""
    *orders, seen = ([label for label in session.order if not is_own(label)] for session in [*direct, through])
    if seen in orders or len({tuple(order) for order in orders}) > 1:
        return []
    at = next(at for at in count() if orders[0][at:at + 1] != seen[at:at + 1])
    return [f"order: {orders[0][at:at + 4]} directly, {seen[at:at + 4]} through the gateway"]


def compared(texts, seen):
    try:
        return difference(texts, seen)
    except Unlike as error:
        return str(error)


def failed(outcomes):
    """Waits for all and returns a line for each that failed."""
    errors = [(case, outcome.exception()) for case, outcome in outcomes]
    return [f"{case.name()}: {error!r}" for case, error in errors if error]


def compare_all(binary, scratch, chosen):
    """Runs everything and returns the report.

    Raises `gateway.GatewayError` where the gateway does not start, does not end or leaves something behind."""
    report = Report()
    stage = Stage(binary, scratch, chosen)
    try:
        plays = {(case.server, case.version): case for case in stage.cases}.values()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            twice = [(case, number) for case in plays for number in range(DIRECT_RUNS)]
            learned = [(case, pool.submit(stage.learn, case, number)) for case, number in twice]
            if failures := failed(learned):
                report.failures += [f"directly, {failure}" for failure in failures]
                return report
            played = [(case, pool.submit(stage.play_through, case)) for case in stage.cases]
            report.failures += failed(played)
        for case, outcome in played:
            if not outcome.exception():
                stage.judge(case, outcome.result(), report)
    finally:
        stage.gateway.stop()
    return report

