"""Serving the proxy: on a TCP port inside the node's container, or on a Unix socket behind the relay.

The relay says with a PROXY protocol (v1) line which sandbox a connection comes from; on a TCP port the connection does.
"""

import socket
import threading
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

_PROXY_LINE_LIMIT = 107  # bytes, by the PROXY protocol's specification
IDLE_TIMEOUT_S = 300


class _Handler(WSGIRequestHandler):
    """Keeps connections open, and says nothing to the log: paths hold numbers that are nobody's business."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT_S

    def log(self, type: str, message: str, *args: Any) -> None:
        return

    def address_string(self) -> str:
        return str(self.client_address[0]) if self.client_address else ""


class _RelayedHandler(_Handler):
    """First line of a connection: `PROXY TCP4 source destination port port`."""

    def setup(self) -> None:
        super().setup()
        line = self.rfile.readline(_PROXY_LINE_LIMIT + 1)
        parts = line.decode("ascii", "replace").split()
        known = len(parts) == 6 and parts[0] == "PROXY" and line.endswith(b"\r\n")
        self.client_address = (parts[2], int(parts[4])) if known and parts[4].isdigit() else ("", 0)
        self.close_connection = not known

    def handle(self) -> None:
        if self.client_address[0]:
            super().handle()


class ProxyServer:
    """A proxy that runs in threads of this process until `stop`."""

    def __init__(self, server: BaseWSGIServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="proxy", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.port)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


def serve_tcp(app: Flask, host: str, port: int) -> ProxyServer:
    """On `host:port`; port 0 takes a free one (`ProxyServer.port`)."""
    server = make_server(host, port, app, threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    return ProxyServer(server)


def serve_listener(app: Flask, listener: socket.socket) -> ProxyServer:
    """On a TCP socket that listens already: its port was known before the proxy was there. Takes the socket over."""
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, request_handler=_Handler, fd=listener.detach())
    server.daemon_threads = True  # type: ignore[attr-defined]
    return ProxyServer(server)


def serve_unix(app: Flask, path: Path) -> ProxyServer:
    """On a Unix socket that only its owner may use; connections begin with a PROXY line."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(256)
    server = make_server(f"unix://{path}", 0, app, threaded=True, request_handler=_RelayedHandler, fd=listener.detach())
    server.daemon_threads = True  # type: ignore[attr-defined]
    return ProxyServer(server)
