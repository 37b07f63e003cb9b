import json
import threading
from http.server import ThreadingHTTPServer

import pytest

from benchmarks import plain_http
from benchmarks.wire import Wire


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_http.Handler, "file", tmp_path / "stored", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), plain_http.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


def test_the_bytes_go_to_a_file_and_come_back(tmp_path, url, capsys):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)) * 10_000)
    plain_http.move(url, str(source), str(target))
    assert target.read_bytes() == source.read_bytes() == (tmp_path / "stored").read_bytes()
    answer = json.loads(capsys.readouterr().out)
    assert answer["seconds"] > 0
    assert answer["peak_bytes"] > 10**6


def test_the_lean_client_keeps_its_connection_and_raises_on_errors(tmp_path, url):
    wire = Wire(url)
    wire.send("PUT", "/", {}, b"content")
    first = wire._connection.sock
    assert wire.send("GET", "/", {}) == b"content"
    assert wire._connection.sock is first
    with pytest.raises(RuntimeError, match="501"):
        wire.send("DELETE", "/", {})
    wire.close()
