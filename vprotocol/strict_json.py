"""JSON for signed and sealed documents: one way to write it, and only that is read.

Duplicate keys, floats, other encodings, deep nesting and over-long documents are refused, so that two programs never
read one signature as two different statements.
"""

import json
import re
from typing import Any, NoReturn

from vprotocol.errors import DocumentInvalid

MAX_DEPTH = 32
MAX_INTEGER = 2**53
# A string (closed, or running to the end of the text), or a bracket outside strings. Possessive: linear on any text.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]', re.DOTALL)


def canonical(value: Any) -> bytes:
    """The one encoding we write: sorted keys, no white space, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def loads(data: bytes, *, limit_bytes: int, what: str = "document") -> Any:
    """Parse strictly.

    :raises DocumentInvalid: too long, not UTF-8, not JSON, too deep, a float, a duplicate key or a giant integer.
    """
    if len(data) > limit_bytes:
        raise DocumentInvalid(f"the {what} has {len(data)} bytes; {limit_bytes} are allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise DocumentInvalid(f"the {what} is not UTF-8") from None
    _check_depth(text, what)

    def no_float(_: str) -> NoReturn:
        raise DocumentInvalid(f"the {what} has a number that is not an integer")

    def small_int(digits: str) -> int:
        if len(digits) > 17 or abs(value := int(digits)) > MAX_INTEGER:
            raise DocumentInvalid(f"the {what} has an integer beyond 2^53")
        return value

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise DocumentInvalid(f"the {what} has a duplicate key")
        return found

    try:
        return json.loads(
            text,
            parse_float=no_float,
            parse_int=small_int,
            parse_constant=no_float,
            object_pairs_hook=no_duplicates,
        )
    except json.JSONDecodeError as error:
        raise DocumentInvalid(f"the {what} is not JSON: {error.msg} at character {error.pos}") from None


def loads_canonical(data: bytes, *, limit_bytes: int, what: str = "document") -> Any:
    """Parse, and refuse every encoding but the one `canonical` writes."""
    value = loads(data, limit_bytes=limit_bytes, what=what)
    if canonical(value) != data:
        raise DocumentInvalid(f"the {what} is not in canonical form")
    return value


def _check_depth(text: str, what: str) -> None:
    """Count brackets outside strings before the recursive parser sees them."""
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        match text[token.start()]:
            case "[" | "{":
                depth += 1
                if depth > MAX_DEPTH:
                    raise DocumentInvalid(f"the {what} is nested deeper than {MAX_DEPTH} levels")
            case "]" | "}":
                depth -= 1
