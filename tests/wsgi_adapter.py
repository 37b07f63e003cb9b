"""Let a real `requests.Session` talk to a WSGI application without a socket.

    session = requests.Session()
    session.mount("http://hub", WsgiAdapter(app))
    http = Http("http://hub/api/v1", session=session)

Bodies stream both ways, headers arrive as they were sent (repeated ones included), an application that breaks off in
the middle of a body looks like a broken connection, and calls from several threads run at the same time, so that a
long-poll may be held in one while another answers it. What it does not do: time-outs, because nothing here is waited
for except the application itself.
"""

import http.client
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse


class WsgiAdapter(BaseAdapter):
    """Delivers requests to `app`; `seen` holds (method, path, query) of each, in order of arrival."""

    def __init__(self, app: Callable[..., Iterable[bytes]], *, remote_address: str = "127.0.0.1") -> None:
        super().__init__()
        self._app = app
        self._remote_address = remote_address
        self._lock = threading.Lock()
        self._responses = HTTPAdapter()
        self.seen: list[tuple[str, str, str]] = []

    def send(self, request: requests.PreparedRequest, *_args: Any, **_settings: Any) -> requests.Response:
        environ = self._environ(request)
        with self._lock:
            self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
        body = _Answer(self._app, environ)
        raw = HTTPResponse(
            body=body,
            headers=HTTPHeaderDict(body.headers),
            status=body.status,
            reason=body.reason,
            preload_content=False,
            decode_content=False,
            request_method=request.method,
            version=11,
        )
        return self._responses.build_response(request, raw)

    def close(self) -> None:
        pass

    def _environ(self, request: requests.PreparedRequest) -> dict[str, Any]:
        address = urlsplit(request.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            # PEP 3333: bytes dressed as latin-1.
            "PATH_INFO": unquote_to_bytes(address.path or "/").decode("latin-1"),
            "QUERY_STRING": address.query,
            "RAW_URI": request.path_url,
            "SERVER_NAME": address.hostname,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self._remote_address,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": address.scheme,
            "wsgi.input": _body(request.body),
            "wsgi.input_terminated": True,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "HTTP_HOST": address.netloc,
        }
        for name, value in request.headers.items():
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
        return environ


def _body(body: Any) -> io.BufferedIOBase:
    if body is None:
        return io.BytesIO()
    if isinstance(body, str):
        return io.BytesIO(body.encode())
    if isinstance(body, bytes | bytearray):
        return io.BytesIO(bytes(body))
    chunks = iter(lambda: body.read(64 * 1024), b"") if hasattr(body, "read") else iter(body)
    return io.BufferedReader(_Chunks(chunks))


class _Chunks(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


class _Answer(_Chunks):
    """What the application answers: status and headers at once, the body as it is read."""

    def __init__(self, app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
        self.status, self.reason = 0, ""
        self.headers: list[tuple[str, str]] = []
        self._written: list[bytes] = []
        self._iterable = app(environ, self._start)
        body = iter(self._iterable)
        try:
            # An application may call start_response as late as with its first chunk.
            while not self.status:
                self._written.append(next(body))
        except StopIteration:
            if not self.status:
                self._end()
                raise AssertionError("the application never called start_response") from None
        without_body = environ["REQUEST_METHOD"] == "HEAD" or self.status in (204, 304)
        super().__init__(iter(()) if without_body else self._stream(body))

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        code, _, self.reason = status.partition(" ")
        self.status, self.headers = int(code), list(headers)
        return self._written.append

    def _stream(self, body: Iterator[bytes]) -> Iterator[bytes]:
        try:
            while True:
                while self._written:
                    yield self._written.pop(0)
                yield next(body)
        except StopIteration:
            return

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except Exception as error:
            # A server cuts the connection when its application fails in the middle of a body.
            raise http.client.IncompleteRead(b"") from error

    def close(self) -> None:
        if not self.closed:
            self._end()
        super().close()

    def _end(self) -> None:
        if close := getattr(self._iterable, "close", None):
            close()
