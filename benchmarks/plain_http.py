"""The floor of a transfer: the same bytes over loopback HTTP, into a file and out of it, with nothing around them.

python -m benchmarks.plain_http serve FILE          writes its address to stdout when it listens
python -m benchmarks.plain_http move URL FROM TO    uploads, downloads, and answers {"seconds", "peak_bytes"}
"""

import http.client
import json
import shutil
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from benchmarks.floor import peak_bytes

CHUNK_BYTES = 1024 * 1024
TIMEOUT_S = 600


class Handler(BaseHTTPRequestHandler):
    """One file: PUT writes it, GET sends it."""

    protocol_version = "HTTP/1.1"
    file: Path

    def do_PUT(self) -> None:
        with self.file.open("wb") as sink:
            _copy(self.rfile, sink, int(self.headers["Content-Length"]))  # type: ignore[arg-type]
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        with self.file.open("rb") as source:
            self.send_response(200)
            self.send_header("Content-Length", str(self.file.stat().st_size))
            self.end_headers()
            shutil.copyfileobj(source, self.wfile, CHUNK_BYTES)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def _copy(source: BinaryIO, sink: BinaryIO, length: int) -> None:
    left = length
    while left:
        chunk = source.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise ConnectionError("the upload was cut short")
        sink.write(chunk)
        left -= len(chunk)


def serve(file: str) -> None:
    Handler.file = Path(file)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


def move(url: str, source: str, target: str) -> None:
    parts = urlsplit(url)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S, blocksize=CHUNK_BYTES)
    with Path(source).open("rb") as reading:
        length = Path(source).stat().st_size
        connection.request("PUT", "/", body=reading, headers={"Content-Length": str(length)})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 201:
            raise RuntimeError(f"the upload was answered with {answer.status}")
    connection.request("GET", "/")
    with Path(target).open("wb") as writing:
        shutil.copyfileobj(connection.getresponse(), writing, CHUNK_BYTES)
    spent = time.perf_counter() - began
    if Path(target).stat().st_size != length:
        raise RuntimeError("what came back has another length")
    print(json.dumps({"seconds": spent, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    work, *rest = sys.argv[1:]
    if work == "serve":
        serve(*rest)
    else:
        move(*rest)
