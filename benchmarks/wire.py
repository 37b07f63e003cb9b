"""A lean HTTP client: one connection kept alive, bytes out, bytes in. What is measured is the server.

Also a process of its own, so that eight clients are eight processes. It reads one JSON order a line from stdin, says
`ready`, begins at the next line, and answers with when it began and ended and the seconds that each piece took:

    {"url", "requests": [[method, path, headers, body], ...]}       each request is a piece
    {"url", "cycles": {"token", "node", "reader", "count"}}         sync, start and result of one run are a piece
"""

import http.client
import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 60
SYNC_WAIT_S = 10


class Wire:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)

    def close(self) -> None:
        self._connection.close()

    def connect(self) -> None:
        self._connection.connect()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
        """:raises RuntimeError: the answer is an error."""
        self._connection.request(method, path, body=body, headers=dict(headers))
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content

    def call(self, method: str, path: str, token: str | None = None, body: Any = None) -> Any:
        """The same with JSON."""
        content = self.send(method, path, json_headers(token), None if body is None else json.dumps(body).encode())
        return json.loads(content) if content else None


def json_headers(token: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return headers if token is None else {**headers, "Authorization": f"Bearer {token}"}


def _requests(wire: Wire, requests: list[Any]) -> list[Callable[[], float]]:
    def piece(method: str, path: str, headers: dict[str, str], body: str | None) -> float:
        sent = None if body is None else body.encode()
        began = time.perf_counter()
        wire.send(method, path, headers, sent)
        return time.perf_counter() - began

    return [lambda one=one: piece(*one) for one in requests]  # type: ignore[misc]


def _cycles(wire: Wire, given: dict[str, Any]) -> list[Callable[[], float]]:
    from benchmarks.twins import result_of
    from vprotocol.keys import KeyKind, PrivateKey

    token = given["token"]
    node = PrivateKey(KeyKind.NODE, bytes.fromhex(given["node"]))
    reader = PrivateKey(KeyKind.USER, bytes.fromhex(given["reader"])).public
    sync = {"session": secrets.token_hex(8), "want": 1, "wait_s": SYNC_WAIT_S}
    headers = json_headers(token)

    def piece() -> float:
        """What the node itself does in between, sealing and signing, does not count."""
        began = time.perf_counter()
        assignment = wire.call("POST", "/api/v1/node/sync", token, sync)["runs"][0]
        run = f"/api/v1/run/{assignment['run']}"
        wire.call("POST", f"{run}/start", token, {"lease_token": assignment["lease_token"]})
        spent = time.perf_counter() - began
        result = result_of(assignment, node, reader, int(time.time()))
        began = time.perf_counter()
        wire.send("POST", f"{run}/result", headers, result)
        return spent + time.perf_counter() - began

    return [piece] * given["count"]


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        wire = Wire(order["url"])
        wire.connect()
        pieces = _requests(wire, order["requests"]) if "requests" in order else _cycles(wire, order["cycles"])
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        spent = [piece() for piece in pieces]
        print(json.dumps({"began": began, "ended": time.monotonic(), "spent": spent}), flush=True)
        wire.close()


if __name__ == "__main__":
    main()
