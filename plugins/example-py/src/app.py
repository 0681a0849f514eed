"""Tools by role: who sees and calls which, by the roles that a principal has.

`portcullis plugin build` leaves the types in build/bindings, where an editor finds them. A function that returns a result in
the WIT returns the value here, or raises Err.
"""

import json
from fnmatch import fnmatchcase

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import lifecycle
from wit_world.imports import log
from wit_world.imports.types import Denial

# What the operator wrote. It is read once, because an instance answers many calls.
ROLES: dict[str, list[str]] = {}
EVERYBODY: list[str] = []


class Lifecycle(exports.Lifecycle):
    def describe(self):
        return lifecycle.Info("example-py", "0.1.0")

    def init(self, config):
        settings = json.loads(config)
        ROLES.update(settings.get("roles", {}))
        EVERYBODY.extend(settings.get("everybody", []))
        log.write(log.Level.DEBUG, "tools by role", [("roles", " ".join(ROLES))])


def patterns(ctx):
    """The tools of a caller. An anonymous one, who has no principal, gets everybody's."""
    roles = ctx.principal.roles if ctx.principal else []
    return [*EVERYBODY, *(pattern for role in roles for pattern in ROLES.get(role, []))]


def is_allowed(allowed, item):
    """This policy is about tools. Whatever else there is, others decide about."""
    return item.kind != "tool" or any(fnmatchcase(item.name, pattern) for pattern in allowed)


class Access(exports.Access):
    def authorize(self, ctx, item):
        if item and not is_allowed(patterns(ctx), item):
            who = ctx.principal.subject if ctx.principal else "an anonymous client"
            # The client reads the message, and only the log the reason. The message does not tell whether the tool exists.
            raise Err(Denial(-32602, f"no tool {item.name} for you", f"no role of {who} has it", None))

    def filter(self, ctx, items):
        allowed = patterns(ctx)
        return [index for index, item in enumerate(items) if is_allowed(allowed, item)]
