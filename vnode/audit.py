"""Every decision of this node, in an append-only file whose lines are chained by hash.

Entries hold names, digests and reason codes, never content. The chain shows any edit, removal or reordering
before its last line; signed checkpoints, which bind the last line too, come with a later version.
"""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from vruntime.clock import Clock

FIRST = "0" * 64


class Audit:
    """Thread-safe. `write` returns after the line is with the operating system: it survives `kill -9`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self._lock = threading.Lock()
        _cut_torn_line(path)
        self._last = _last_hash(path)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)

    def write(self, decision: str, run: str, **facts: Any) -> None:
        with self._lock:
            entry = {"at": round(self._clock.now(), 3), "decision": decision, "run": run, **facts, "after": self._last}
            line = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
            self._file.write(line + b"\n")
            self._last = hashlib.sha256(line).hexdigest()

    def close(self) -> None:
        with self._lock:
            self._file.close()


def broken_line(path: Path) -> int | None:
    """The first line (from 1) that does not continue the one before it; none if the chain is whole."""
    expected = FIRST
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                after = json.loads(line)["after"]
            except (ValueError, KeyError, TypeError):
                return number
            if after != expected:
                return number
            expected = hashlib.sha256(line.rstrip(b"\n")).hexdigest()
    return None


def _cut_torn_line(path: Path) -> None:
    """A line whose writing a power cut ended was never acknowledged; the next one must not stick to it."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        whole = 0
        for line in file:
            whole += len(line) if line.endswith(b"\n") else 0
        file.truncate(whole)


def _last_hash(path: Path) -> str:
    if not path.exists():
        return FIRST
    last = None
    with path.open("rb") as file:
        for line in file:
            last = line
    return FIRST if last is None else hashlib.sha256(last.rstrip(b"\n")).hexdigest()
