"""{{name}}: one sentence about what it decides.

`portcullis plugin build` leaves the types in build/bindings, where an editor finds them. A function that returns a result in
the WIT returns the value here, or raises Err.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import lifecycle
from wit_world.imports import log
%if on-message
from wit_world.imports import message
%end
%if kv
from wit_world.imports import kv  # a counter that all instances share: kv.increment("calls", 1, 60_000)
%end
%if http
from wit_world.imports import http  # a request to a granted host: http.send(http.Request(...))
%end
%if random
from wit_world.imports import random  # Python's own generator repeats itself in every instance
%end
%if schema
from wit_world.imports import schema  # schema.validate_arguments() raises Err with the problems
%end
%if on-message
from wit_world.imports.types import Decision_Deny, Decision_Pass, Verdict
%end
%if on-message|access
from wit_world.imports.types import Denial
%end
%if routing
from wit_world.imports.types import Route_To
%end

CONFIG = {}  # what the operator wrote


def logged(function):
    """Without this, all that the log says of an exception is "unreachable": Python has nowhere to print it."""

    def run(*arguments):
        try:
            return function(*arguments)
        except Err:
            raise
        except Exception as error:
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            log.write(log.Level.ERROR, repr(error), [("line", str(place.tb_lineno))])
            raise

    return run


class Lifecycle(exports.Lifecycle):
    def describe(self):
        return lifecycle.Info("{{name}}", "0.1.0")

    @logged
    def init(self, config):
        CONFIG.update(json.loads(config))
        log.write(log.Level.DEBUG, "initialised", [("config", config)])
%if on-message


class OnMessage(exports.OnMessage):
    @logged
    def on_message(self, ctx):
        match message.get("/params/arguments/path"):
            case message.Value_Text(path) if any(text in path for text in CONFIG.get("deny", ["../"])):
                # The client reads the message, and only the log the reason.
                denial = Denial(-32001, "this path is not allowed", f"the path is {path}", None)
                return Verdict(Decision_Deny(denial), [])
        return Verdict(Decision_Pass(), [])
%end
%if access


def is_hidden(item):
    return item.name in CONFIG.get("hide", ["secret"])


class Access(exports.Access):
    @logged
    def authorize(self, ctx, item):
        if item and is_hidden(item):
            # The client reads the message, and only the log the reason.
            raise Err(Denial(-32001, f"there is no {item.kind} {item.name}", "it is hidden", None))

    @logged
    def filter(self, ctx, items):
        return [index for index, item in enumerate(items) if not is_hidden(item)]
%end
%if routing


class Routing(exports.Routing):
    @logged
    def choose(self, ctx, candidates):
        """Whoever has the least to do first; who is not healthy last."""

        def burden(index):
            return (not candidates[index].healthy, candidates[index].in_flight)

        return Route_To(sorted(range(len(candidates)), key=burden))
%end
