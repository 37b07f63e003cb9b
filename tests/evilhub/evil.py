"""A lying hub in front of a real one, in this process: what passes to a node or a client may be edited on its way.

    evil = EvilHub()
    with Federation(tmp_path, SCRIPT, adapter=evil) as world:
        with evil.telling(node_1, "/node/sync", edit):      # edit(body) changes the decoded answer, or returns another
            ...

The hub behind is the real application; only its answers are changed, and only where a lie says so.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.wsgi_adapter import WsgiAdapter

WAIT_S = 30.0
PIECE_BYTES = 64 * 1024
Edit = Callable[[Any], Any]


@dataclass(frozen=True)
class Raw:
    """An answer that is not JSON, or not even an answer."""

    body: bytes
    status: str = "200 OK"


@dataclass
class Lie:
    to: int | None  # the party's number: nodes in their order, then whoever connects later; none: everybody
    path: re.Pattern[str]
    edit: Edit  # of decoded JSON; of bytes for everything else
    told: int = 0


@dataclass
class EvilHub:
    """An adapter factory for `Federation`. Each party has a connection of its own, and so a number."""

    lies: list[Lie] = field(default_factory=list)
    seen: list[tuple[int, str, str]] = field(default_factory=list)  # party, verb, path
    archive: list[dict[str, Any]] = field(default_factory=list)  # every assignment that was handed out, as it was

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._parties = 0

    def __call__(self, app: Any) -> WsgiAdapter:
        party, self._parties = self._parties, self._parties + 1
        return WsgiAdapter(_Between(self, app, party))

    @property
    def newest_party(self) -> int:
        return self._parties - 1

    @contextmanager
    def telling(self, to: int | None, path: str, edit: Edit) -> Iterator[Lie]:
        lie = Lie(to, re.compile(path), edit)
        with self._changed:
            self.lies.append(lie)
        try:
            yield lie
        finally:
            with self._changed:
                self.lies.remove(lie)

    def note(self, party: int, verb: str, path: str) -> None:
        with self._changed:
            self.seen.append((party, verb, path))
            self._changed.notify_all()

    def await_call(self, wanted: Callable[[tuple[int, str, str]], bool], after: int = 0) -> None:
        """Until somebody has called, beginning with number `after` of `seen`."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(wanted(call) for call in self.seen[after:]), WAIT_S)

    def edited(self, party: int, path: str, headers: dict[str, str], body: bytes) -> bytes | Raw:
        is_json = headers.get("content-type", "").startswith("application/json")
        if path.endswith("/node/sync") and is_json:
            with self._changed:
                self.archive += json.loads(body).get("runs", [])
        with self._changed:
            lies = [lie for lie in self.lies if lie.to in (None, party) and lie.path.search(path)]
        for lie in lies:
            told = json.loads(body) if is_json else body
            changed = lie.edit(told)
            if changed is None:
                changed = told
            with self._changed:
                lie.told += changed != (json.loads(body) if is_json else body)
            if isinstance(changed, Raw):
                return changed
            body = json.dumps(changed).encode() if is_json else changed
        return body


class _Between:
    """WSGI middleware."""

    def __init__(self, evil: EvilHub, app: Any, party: int) -> None:
        self._evil, self._app, self._party = evil, app, party

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, kept = environ["PATH_INFO"], {}
        self._evil.note(self._party, environ["REQUEST_METHOD"], path)

        def keep(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Callable[[bytes], object]:
            kept["status"], kept["headers"] = status, headers
            return lambda _data: None

        answer = self._app(environ, keep)
        try:
            body = b"".join(answer)
        finally:
            if close := getattr(answer, "close", None):
                close()
        headers = {name.lower(): value for name, value in kept["headers"]}
        changed = self._evil.edited(self._party, path, headers, body)
        status, body = (changed.status, changed.body) if isinstance(changed, Raw) else (kept["status"], changed)
        kept_headers = [(name, value) for name, value in kept["headers"] if name.lower() != "content-length"]
        start_response(status, [*kept_headers, ("Content-Length", str(len(body)))])
        return [body[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]
