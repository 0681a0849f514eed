"""What several direct runs have in common: a pattern of all that is the same in them, to the byte."""

import re

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[\[\]{}:,]|\s+|.', re.S)
STRING = r'"(?:[^"\\]|\\.)*"'
NUMBER = r"-?[\d.]+(?:[eE][+-]?\d+)?"
CONTEXT = 70


class Unlike(Exception):
    """Direct runs differ in more than single values: the script leaves something to chance."""


def shape(texts):
    """Returns a list of patterns, one for each token; where the texts differ, it leaves open as little as it can."""
    rows = [TOKEN.findall(text) for text in texts]
    if len({len(row) for row in rows}) > 1:
        raise Unlike("they are of different form:\n" + "\n".join(text[:300] for text in texts))
    return [pattern(tokens) for tokens in zip(*rows)]


def pattern(tokens):
    first = tokens[0]
    if all(token == first for token in tokens):
        return re.escape(first)
    if all(token[0] == '"' for token in tokens):
        return string(tokens)
    if all(token[0] in "-0123456789" for token in tokens):
        return NUMBER
    raise Unlike(f"they are of different form: {tokens}")


def string(tokens):
    """Leaves single words open where the strings have the same ones otherwise, else all."""
    rows = [re.split(r"(\w+)", token) for token in tokens]
    if len({len(row) for row in rows}) > 1:
        return STRING
    columns = list(zip(*rows))
    if any(len(set(column)) > 1 for column in columns[::2]):
        return STRING
    return "".join(re.escape(column[0]) if len(set(column)) == 1 else r"\w+" for column in columns)


def difference(texts, seen):
    r"""Returns where a text is not of the shape of the direct ones, or nothing.

    >>> direct = ['{"a":[1.0,"\\u00e9"],"t":"at 12:01"}', '{"a":[1.0,"\\u00e9"],"t":"at 12:02"}']
    >>> seen = '{"a":[1.0,"\\u00e9"],"t":"at 12:33"}'
    >>> difference(direct, seen)
    >>> others = ("at", "by"), ("12", "1:2"), ("1.0", "1"), ("\\u00e9", "\u00e9"), (",", ", "), ("]", ",1]"), ("}", "")
    >>> all(difference(direct, seen.replace(*other)) for other in others)
    True
    >>> bool(difference(direct, '{"t":"at 12:33","a":[1.0,"\\u00e9"]}'))
    True
    """
    patterns, tokens = shape(texts), TOKEN.findall(seen)
    pairs = enumerate(zip(patterns, tokens))
    at = next((place for place, (wanted, token) in pairs if not re.fullmatch(wanted, token, re.S)), None)
    if at is None and len(patterns) == len(tokens):
        return None
    at = min(len(patterns), len(tokens)) if at is None else at
    shown = [around(TOKEN.findall(texts[0]), at), around(tokens, at)]
    return "directly …{}\n        through  …{}".format(*shown)


def around(tokens, at):
    before = "".join(tokens[max(at - 40, 0):at])[-CONTEXT:]
    return before + "".join(tokens[at:at + 40])[:2 * CONTEXT]
