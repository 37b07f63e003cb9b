"""What is inside a sealed order. The hub never imports this file: it never sees one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from vprotocol.errors import BadMessage

ORDER_LIMIT_BYTES = 2**30


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Whoever checks the order and whoever executes it must read the same method."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a duplicate key")
    return found


@dataclass(frozen=True)
class Order:
    """Which method an algorithm runs, and with what. Exactly what stands in a sandbox's INPUT_FILE."""

    method: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """:raises BadMessage: an argument is not JSON (NaN and infinities are allowed, as algorithms use them)."""
        try:
            document = {"method": self.method, "args": list(self.args), "kwargs": dict(self.kwargs)}
            return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        except (TypeError, ValueError) as fault:
            raise BadMessage(
                f"the arguments of {self.method} cannot be sent: {fault}",
                hint="Arguments are JSON: numbers, texts, lists, objects, true, false, null.",
            ) from None

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """:raises BadMessage: not an order; the text never repeats what stands in it."""
        try:
            document = json.loads(body, object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError):
            raise BadMessage("the order is not JSON") from None
        if not isinstance(document, dict) or not isinstance(document.get("method"), str):
            raise BadMessage("the order names no method")
        args, kwargs = document.get("args"), document.get("kwargs")
        args, kwargs = [] if args is None else args, {} if kwargs is None else kwargs
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise BadMessage("the order's args are a list and its kwargs an object")
        return cls(document["method"], args, kwargs)
