"""What people write on a command line, read into values."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vclient.workflow import Where
from vprotocol.errors import UsageError
from vprotocol.messages.orders import Order


def json_value(text: str, option: str) -> Any:
    """JSON, or `@FILE` that holds JSON.

    :raises UsageError: neither; the text is not repeated, it may be what nobody else should see.
    """
    try:
        if text.startswith("@"):
            return json.loads(Path(text[1:]).read_bytes())
        return json.loads(text)
    except OSError as error:
        raise UsageError(f"{option}: {text[1:]} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{option} is not JSON", hint="Texts need quotes: '\"age\"'. @FILE reads a file.") from None


def named_value(text: str) -> tuple[str, Any]:
    """`name=JSON`, or `name=text` where the text is no JSON."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError("--arg is written NAME=VALUE", hint="Such as --arg column=age or --arg bins=10.")
    if value.startswith("@"):
        return name, json_value(value, f"--arg {name}")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def where(given: Sequence[str]) -> Where:
    """`--on all`, `--on initiator`, or organizations, one `--on` each."""
    if not given:
        return "all"
    if len(given) == 1 and given[0] in ("all", "initiator"):
        return given[0]
    if {"all", "initiator"} & set(given):
        raise UsageError("--on is `all`, `initiator`, or organizations, not both")
    return list(given)


def orders(document: Any) -> dict[str, Any]:
    """`{step: {method, args, kwargs}}`, or `{step: {organizations: {name: {method, ...}}}}`.

    :raises UsageError: anything else.
    """
    if not isinstance(document, dict) or not document:
        raise UsageError("orders are an object: step → {method, args, kwargs}")
    return {step: _orders_of(step, given) for step, given in document.items()}


def _orders_of(step: str, given: Any) -> Any:
    if isinstance(given, dict) and set(given) == {"organizations"} and isinstance(given["organizations"], dict):
        return {name: _order(f"{step} at {name}", one) for name, one in given["organizations"].items()}
    return _order(step, given)


def _order(where: str, given: Any) -> Order:
    known = {"method", "args", "kwargs"}
    if not isinstance(given, dict) or not isinstance(given.get("method"), str) or set(given) - known:
        raise UsageError(f"the order of {where} is an object with method, args and kwargs")
    args, kwargs = given.get("args", []), given.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise UsageError(f"the order of {where}: args is a list, kwargs an object")
    return Order(given["method"], args, kwargs)
