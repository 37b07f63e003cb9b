"""Results: values as JSON, bytes as they are, named outputs, and a stream for what does not fit in memory."""

import datetime
import io
import json
import re
from pathlib import Path
from typing import Any

from algorithm_base.errors import OutputError

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Outputs:
    """Several results of one method: `return Outputs(model, noise=..., converged=True)`.

    The first goes to whom the plan says by default, the others along the workflow connections that name them.
    """

    def __init__(self, default: Any = None, **named: Any) -> None:
        for name in named:
            if not _NAME.fullmatch(name):
                raise OutputError(f"'{name}' cannot be the name of an output: use letters, digits, '_', '.' and '-'")
        self.default = default
        self.named = named


class OutputStream(io.BufferedWriter):
    """The default output as a binary file, for results of any size: a parameter annotated so is given one."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "wb"))


def encode(value: Any) -> bytes:
    """JSON, or the bytes themselves."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()


def decode(content: bytes) -> Any:
    """What `encode` was given; bytes that are not JSON stay bytes."""
    try:
        return json.loads(content.decode("utf-8"))
    except ValueError:
        return content


def plain(value: Any) -> Any:
    """The same value in JSON's own types. A frame becomes a list of rows, a series a dictionary by index."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, dict):
        return {_key(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if type(value).__module__.partition(".")[0] in ("numpy", "pandas"):
        return _from_array_library(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, str | int | float):
        return value
    raise OutputError(
        f"a result of type {type(value).__name__} cannot be written as JSON: return plain values or bytes"
    )


def _from_array_library(value: Any) -> Any:
    """numpy and pandas, told apart by what they can do: neither is imported here."""
    kind = type(value).__name__
    if kind == "DataFrame":
        return plain(value.to_dict(orient="records"))
    if kind == "Series":
        return plain(value.to_dict())
    if kind in ("NAType", "NaTType"):
        return None
    if hasattr(value, "tolist"):
        listed = value.tolist()
        is_all_numbers = getattr(getattr(value, "dtype", None), "kind", "O") in "biuf"
        return listed if is_all_numbers else plain(listed)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise OutputError(f"a result of type {kind} cannot be written as JSON: return plain values or bytes")


def _key(name: Any) -> Any:
    if hasattr(name, "item"):  # a numpy scalar
        return name.item()
    if isinstance(name, str | int | float) or name is None:
        return name
    if hasattr(name, "isoformat"):
        return name.isoformat()
    raise OutputError(
        f"a dictionary's key of type {type(name).__name__} cannot be written as JSON: use texts or numbers"
    )


def write_outputs(value: Any, output_file: Path, outputs_folder: Path | None) -> None:
    outputs = value if isinstance(value, Outputs) else Outputs(value)
    if outputs.named and outputs_folder is None:
        raise OutputError("this run has no place for named outputs: its step is not connected by name")
    for name, each in outputs.named.items():
        assert outputs_folder is not None
        (outputs_folder / name).write_bytes(encode(each))
    output_file.write_bytes(encode(outputs.default))
