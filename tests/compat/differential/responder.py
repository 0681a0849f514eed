"""What the client answers when a server asks it."""

from itertools import count

INSTANT = "2026-01-01T00:00:00.000Z"


class Responder:
    """Answers everything at once and always the same; what a server wants done as a task is done when it asks again."""

    def __init__(self, roots):
        self.roots = roots
        self.results = {}
        self.numbers = count(1)

    def reply(self, method, params):
        """Returns the `result` or `error` of a request of the server."""
        if method in ("sampling/createMessage", "elicitation/create"):
            return {"result": self.perhaps_later(self.done(method, params), params)}
        if method == "roots/list":
            return {"result": {"roots": [{"uri": uri, "name": uri.rsplit("/", 1)[-1]} for uri in self.roots]}}
        if method == "tasks/get":
            return {"result": task(params["taskId"], "completed")}
        if method == "tasks/result":
            return {"result": self.results[params["taskId"]]}
        if method == "ping":
            return {"result": {}}
        return {"error": {"code": -32601, "message": f"no {method} here"}}

    def done(self, method, params):
        if method == "sampling/createMessage":
            said = params["messages"][-1]["content"]["text"]
            content = {"type": "text", "text": f"sampled \u00ab{said}\u00bb"}
            return {"role": "assistant", "model": "compat-model", "content": content, "stopReason": "endTurn"}
        if params.get("mode") == "url":
            return {"action": "accept"}
        return {"action": "accept", "content": filled(params["requestedSchema"])}

    def perhaps_later(self, result, params):
        if "task" not in params:
            return result
        name = f"client-task-{next(self.numbers)}"
        self.results[name] = result
        return {"task": task(name, "working")}


def task(name, status):
    times = {"createdAt": INSTANT, "lastUpdatedAt": INSTANT, "ttl": 300000, "pollInterval": 100}
    return {"taskId": name, "status": status, **times}


def filled(schema):
    """Fills in a form: with its defaults where it has any, else with something that fits."""
    return {name: value(field) for name, field in schema["properties"].items()}


def value(field):
    if "default" in field:
        return field["default"]
    if options := field.get("enum") or [option["const"] for option in field.get("oneOf", [])]:
        return options[0]
    formats = {"email": "ada@example.com", "uri": "https://example.com/", "date": "1815-12-10"}
    kinds = {"boolean": True, "integer": field.get("minimum", 7), "number": field.get("minimum", 0.5)}
    return kinds.get(field.get("type")) or formats.get(field.get("format"), "Ada \U0001f980")
