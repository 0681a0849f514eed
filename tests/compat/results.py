"""What came back through the gateway beside what came back without it.

Where the same client speaks in the same era to the same server, every recorded result must be the same, byte for byte;
across the eras, what both of them have.
"""

import json

# Members of results that only the era without a handshake has, and the one that says there who the server is.
OF_MODERN_RESULTS = ("resultType", "ttlMs", "cacheScope")
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
# What the gateway answers for itself: with whom it agrees on what, and who may keep that answer, not what the server is.
OF_THE_GATEWAY = ("protocolVersion", "supportedVersions", "ttlMs", "cacheScope")
# Capabilities that one era has and the other one has not: tasks are an extension there.
OF_ONE_ERA = ("tasks",)


def differences(direct, cell):
    """A line for every recorded result that is not what it is with no gateway in between."""
    across = direct.server_era != cell.server_era or direct.client.era != cell.client.era
    found = []
    for label, expected in direct.transcript.items():
        seen = cell.transcript.get(label)
        if label == "initialize" and across and seen is None:
            continue  # a client that is pinned to this era need not ask over a pipe who the server is
        if label == "initialize":
            expected, seen = (introduction(result, cell, across) for result in (expected, seen))
        elif across:
            expected, seen = (of_both_eras(result) for result in (expected, seen))
        if across and cell.client.checks == "inspector":
            expected, seen = (as_inspected(result) for result in (expected, seen))
        if (one := json.dumps(expected)) != (other := json.dumps(seen)):
            found.append(f"{label}: not the answer of the direct connection\n        {shown(one, other)}")
    return found


def introduction(result, cell, across):
    """What a server says of itself, in `initialize` or in `server/discover`."""
    if not isinstance(result, dict) or "capabilities" not in result:
        return result
    if across or cell.client.era == "modern":
        result = {name: value for name, value in result.items() if name not in OF_THE_GATEWAY}
    # A client that shares its server with others has no log of its own, and is told so.
    hidden = ("logging",) * cell.shares + OF_ONE_ERA * across
    capabilities = {name: value for name, value in result.get("capabilities", {}).items() if name not in hidden}
    result = {**result, "capabilities": capabilities}
    if across:
        info = result.get("serverInfo") or result.get("_meta", {}).get(SERVER_INFO)
        result = {**of_both_eras(result), "serverInfo": info}
        return dict(sorted(result.items()))
    return result


def of_both_eras(result):
    if not isinstance(result, dict):
        return result
    result = {name: value for name, value in result.items() if name not in OF_MODERN_RESULTS}
    meta = {name: value for name, value in result.pop("_meta", {}).items() if name != SERVER_INFO}
    return {**result, "_meta": meta} if meta else result


def as_inspected(value):
    """The Inspector prints what its SDK has read. With the handshake that has no `$schema`, without it no `execution`; and
    the members are in an order of its own."""
    if isinstance(value, dict):
        return {name: as_inspected(inner) for name, inner in sorted(value.items()) if name not in ("$schema", "execution")}
    return [as_inspected(inner) for inner in value] if isinstance(value, list) else value


def shown(one, other):
    at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    start = max(at - 60, 0)
    return f"directly …{one[start:at + 100]}\n        through  …{other[start:at + 100]}"
