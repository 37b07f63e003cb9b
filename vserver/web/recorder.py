"""Writes down everything that the hub is sent, for those who want to see what it sees (`record_requests`).

Each request becomes one line of JSON (method, path, query, headers without Authorization and Cookie, length of the
body), the raw body, and a newline. Passwords and tokens that clients send in bodies are in the file: it is for
demonstrations and audits, made 0600, and never on by default.
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

_SECRET_HEADERS = ("HTTP_AUTHORIZATION", "HTTP_COOKIE")
_IN_MEMORY_BYTES = 1024 * 1024


class RequestRecorder:
    """WSGI middleware around the application."""

    def __init__(self, application: Callable[..., Iterable[bytes]], path: Path) -> None:
        self._application = application
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as body:
            environ["wsgi.input"] = _Copying(environ["wsgi.input"], body)
            try:
                return self._application(environ, start_response)
            finally:
                self._append(environ, body)

    def _append(self, environ: dict[str, Any], body: IO[bytes]) -> None:
        length = body.tell()
        body.seek(0)
        line = json.dumps(
            {
                "method": environ["REQUEST_METHOD"],
                "path": environ.get("PATH_INFO", ""),
                "query": environ.get("QUERY_STRING", ""),
                "headers": {
                    name[5:].replace("_", "-").title(): value
                    for name, value in environ.items()
                    if name.startswith("HTTP_") and name not in _SECRET_HEADERS
                },
                "content_type": environ.get("CONTENT_TYPE", ""),
                "body_bytes": length,
            }
        )
        with self._lock:
            self._file.write(line.encode() + b"\n")
            while chunk := body.read(_IN_MEMORY_BYTES):
                self._file.write(chunk)
            self._file.write(b"\n")
            self._file.flush()


class _Copying:
    """A request body that is copied while it is read."""

    def __init__(self, source: IO[bytes], copy: IO[bytes]) -> None:
        self._source, self._copy = source, copy

    def read(self, size: int = -1) -> bytes:
        return self._kept(self._source.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._kept(self._source.readline(size))

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True

    def __iter__(self) -> "_Copying":
        return self

    def __next__(self) -> bytes:
        if line := self.readline():
            return line
        raise StopIteration

    def _kept(self, data: bytes) -> bytes:
        self._copy.write(data)
        return data
