"""Query parameters of requests that may be held: `wait` (seconds), `since`, `include`."""

from flask import request

from vprotocol.errors import BadRequest

LONGEST_WAIT_S = 60.0


def wait_s(longest_s: float) -> float:
    """How long the caller is willing to wait; 0 without `?wait=`. At most `longest_s`.

    :raises BadRequest: not a number of seconds.
    """
    text = request.args.get("wait")
    if text is None:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise _wrong("wait", "a number of seconds, 0 or more")
    return min(value, longest_s)


def since() -> int | None:
    """:raises BadRequest: not a whole number."""
    text = request.args.get("since")
    if text is None:
        return None
    if not text.isdecimal() or not text.isascii() or len(text) > 18:
        raise _wrong("since", "a whole number, 0 or more")
    return int(text)


def include(*known: str) -> frozenset[str]:
    """:raises BadRequest: something that cannot be included."""
    words = frozenset(filter(None, request.args.get("include", "").split(",")))
    if unknown := words - set(known):
        raise _wrong("include", f"{sorted(unknown)[0][:40]!r} is not one of {', '.join(known)}")
    return words


def only(*names: str) -> None:
    """:raises BadRequest: a query parameter that this resource does not know, or one given twice."""
    for name in request.args:
        if name not in names:
            raise _wrong(name, f"unknown query parameter; known are {', '.join(names) or 'none'}")
        if len(request.args.getlist(name)) > 1:
            raise _wrong(name, "given more than once")


def _wrong(name: str, what: str) -> BadRequest:
    return BadRequest(f"Query parameter `{name[:40]}`: {what}.", fields={name[:40]: what})
