"""What may differ, and why. There is no bridge and nobody shares, so this is all.

- The id of what a server asks its client: ids are given out by each side for itself (`session.without_id`).
- `OWN_ENVELOPE`, `UNSAYABLE`, `SEALED` and `DRAWN` below.
"""

import re

# The gateway answers these itself, because a process may be there before its client, and because a ping asks who
# answers it. The envelope of such an answer is the gateway's; the result is the server's, to the byte.
OWN_ENVELOPE = ("initialize", "server/discover", "ping")
# A call without a name: over HTTP its header `Mcp-Name` cannot say what is not there, and so it is refused before it
# reaches the server (2026-07-28, "Server Validation").
UNSAYABLE = re.compile(
    r'"error":\{"code":-32602,"message":"Invalid request parameters","data":""\}'
    r'|"error":\{"code":-32602,"message":"Invalid tools/call request: (?:[^"\\]|\\.)*"\}'
    r'|"error":\{"code":-32020,"message":"the header mcp-name is missing"\}'
)
# What a server seals is other each time, in its length too.
SEALED = re.compile(r'"requestState":"v1\.[\w.-]*"')
# The log messages of `everything` are drawn by lot, and one of the eight is spelled unlike the others: as one of them, it
# differs in single words only, and no direct run has to draw it first.
DRAWN = ("Alert level-message", "Alert-level message")


def is_own(label):
    """Returns whether the gateway gives that answer itself, whatever the server says meanwhile."""
    return label.endswith(OWN_ENVELOPE)


def explained(label, texts):
    """Returns texts without what may differ."""
    if is_own(label):
        return [own_envelope(text) for text in texts]
    return [sealed_and_drawn(UNSAYABLE.sub('"error":"no name"', text)) for text in texts]


def sealed_and_drawn(text):
    return SEALED.sub('"requestState":#', text).replace(*DRAWN)


def own_envelope(text):
    """Returns a text with the members of its envelope in one order."""
    found = re.fullmatch(r'\{"result":(.*),"jsonrpc":"2\.0","id":(\d+)\}', text, re.S)
    return f'{{"jsonrpc":"2.0","id":{found[2]},"result":{found[1]}}}' if found else text
