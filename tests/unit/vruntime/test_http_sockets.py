"""What only real sockets show: reused connections, causes of failures, TLS, constant memory."""

import datetime
import ipaddress
import json
import ssl
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vprotocol.errors import TlsFailed
from vruntime.clock import ManualClock
from vruntime.http import Http, Unreachable

BIG_BYTES = 64 * 1024 * 1024
PIECE = b"\x5a" * 65536


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True  # headers and body are two writes

    def do_GET(self):
        self.server.peers.add(self.client_address)
        if self.path == "/big":
            self.send_response(200)
            self.send_header("Content-Length", str(BIG_BYTES))
            self.end_headers()
            for _ in range(BIG_BYTES // len(PIECE)):
                self.wfile.write(PIECE)
            return
        self.answer({"path": self.path})

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self.answer({"received": int(self.headers["Content-Length"])})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.peers = set()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_):
        pass


def serve(server):
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def server():
    yield from serve(Server())


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate for 127.0.0.1 that no authority knows, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "both.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    yield from serve(Server(context))


def connect(server, scheme="http", **settings):
    settings.setdefault("clock", ManualClock())
    return Http(f"{scheme}://127.0.0.1:{server.server_port}", **settings)


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_one_connection_carries_many_calls(server):
    with connect(server) as http:
        for number in range(20):
            http.get(f"/{number}")
    assert len(server.peers) == 1


def test_threads_share_the_pool(server):
    with connect(server) as http, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: http.get(f"/{number}")["path"], range(200)))
    assert answers == [f"/{number}" for number in range(200)]
    assert len(server.peers) <= 8


def test_nobody_listening_is_said(server):
    gone = Server()
    gone.server_close()
    with pytest.raises(Unreachable, match="Nothing listens"):
        connect(gone, deadline_s=1).get("/")


def test_a_name_that_does_not_resolve_is_said():
    with pytest.raises(Unreachable, match=r"name hub\.invalid cannot be resolved"):
        Http("http://hub.invalid", clock=ManualClock(), deadline_s=0.1).post("/")


def test_an_unknown_authority_is_said_and_named_in_the_configuration_it_is_accepted(tls_server, certificate):
    with pytest.raises(TlsFailed, match="self-signed certificate"):
        connect(tls_server, "https").get("/")
    assert connect(tls_server, "https", ca_bundle=certificate).get("/x") == {"path": "/x"}


def test_the_environment_does_not_replace_the_configured_authority(tls_server, certificate, monkeypatch):
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert connect(tls_server, "https", ca_bundle=certificate).get("/x") == {"path": "/x"}


def test_a_port_without_tls_is_said(server):
    with pytest.raises(TlsFailed, match="does not speak TLS"):
        connect(server, "https").get("/")


def test_transfers_need_constant_memory(server):
    received = 0

    def count(chunk):
        nonlocal received
        received += len(chunk)

    tracemalloc.start()
    try:
        with connect(server) as http:
            http.download("/big", count)
            pieces = lambda: (PIECE for _ in range(BIG_BYTES // len(PIECE)))  # noqa: E731
            assert http.upload("/big", pieces, length=BIG_BYTES) == {"received": BIG_BYTES}
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert received == BIG_BYTES
    assert peak_bytes < 8 * 1024 * 1024
