"""Real sockets: a TCP port, and a Unix socket whose connections begin with a PROXY line."""

import socket
import urllib.request
from pathlib import Path

import pytest
from flask import Flask, request

from proxy.serve import serve_tcp, serve_unix


@pytest.fixture
def app() -> Flask:
    made = Flask("who")

    @made.get("/who")
    def who():
        return {"address": request.environ["REMOTE_ADDR"]}

    return made


def said(path: Path, first: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(first + b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = b""
        try:
            while chunk := connection.recv(4096):
                found += chunk
        except ConnectionResetError:
            pass
        return found


def test_a_tcp_port_knows_the_caller_s_address(app) -> None:
    server = serve_tcp(app, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/who", timeout=10) as reply:
            assert b'"127.0.0.1"' in reply.read()
    finally:
        server.stop()


def test_behind_the_relay_the_proxy_line_tells_the_address(app, tmp_path: Path) -> None:
    server = serve_unix(app, tmp_path / "proxy.sock")
    try:
        assert b'"10.213.0.3"' in said(tmp_path / "proxy.sock", b"PROXY TCP4 10.213.0.3 10.213.0.2 4000 7654\r\n")
    finally:
        server.stop()


@pytest.mark.parametrize("first", [b"", b"PROXY UNKNOWN\r\n", b"PROXY TCP4 a b c\r\n", b"P" * 200])
def test_a_connection_without_a_proxy_line_is_not_answered(app, tmp_path: Path, first: bytes) -> None:
    server = serve_unix(app, tmp_path / "proxy.sock")
    try:
        assert b"200 OK" not in said(tmp_path / "proxy.sock", first)
    finally:
        server.stop()


def test_the_socket_belongs_to_its_owner_alone(app, tmp_path: Path) -> None:
    server = serve_unix(app, tmp_path / "folder" / "proxy.sock")
    try:
        assert (tmp_path / "folder" / "proxy.sock").stat().st_mode & 0o077 == 0
    finally:
        server.stop()
