"""Everything planted in any kind of place is found, in every spelling, layers deep; and nothing else is."""

import base64
import gzip
import json
import random
import sqlite3
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.needles import Secret, needles, spellings
from demo.places import HubFiles, requests, rows
from demo.search import Piece, search

TEXT = Secret("column", "worst_radius")
NUMBER = Secret("result", 14.127291739894552)
SECRETS = (TEXT, NUMBER)


@pytest.fixture
def hub(tmp_path: Path) -> HubFiles:
    """The files of a hub with rows, payloads, a log and a request, none of which holds anything."""
    database = tmp_path / "hub.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE run (id INTEGER PRIMARY KEY, label TEXT, content BLOB, started REAL)")
        connection.execute("INSERT INTO run (label, content, started) VALUES ('part', x'0102', 1700000000.25)")
    connection.close()
    (tmp_path / "payloads" / "ab").mkdir(parents=True)
    (tmp_path / "payloads" / "ab" / "abcd").write_bytes(random.Random(1).randbytes(50_000))
    (tmp_path / "hub.log").write_text('{"message": "ready"}\n')
    record(tmp_path / "requests", b'{"state": "running"}')
    return HubFiles(database, tmp_path / "payloads", (tmp_path / "hub.log",), tmp_path / "requests")


def record(path: Path, body: bytes, where: str = "/api/v1/job") -> None:
    line = json.dumps({"method": "POST", "path": where, "body_bytes": len(body)})
    with path.open("ab") as file:
        file.write(line.encode() + b"\n" + body + b"\n")


def into_row(hub: HubFiles, content: bytes) -> None:
    execute(hub, "INSERT INTO run (content) VALUES (?)", content)


def into_text_row(hub: HubFiles, content: bytes) -> None:
    execute(hub, "INSERT INTO run (label) VALUES (?)", content.decode("latin-1"))


def into_payload(hub: HubFiles, content: bytes) -> None:
    (hub.payloads / "ab" / ".half").write_bytes(random.Random(2).randbytes(1001) + content)


def into_log(hub: HubFiles, content: bytes) -> None:
    with hub.logs[0].open("ab") as file:
        file.write(b'{"message": "' + content + b'"}\n')


def into_request(hub: HubFiles, content: bytes) -> None:
    record(hub.requests, b'{"orders": ["' + content + b'"]}')


def into_path(hub: HubFiles, content: bytes) -> None:
    record(hub.requests, b"", where="/api/v1/task?name=" + content.decode("latin-1"))


def execute(hub: HubFiles, statement: str, value: object) -> None:
    connection = sqlite3.connect(hub.database)
    connection.execute(statement, (value,))
    connection.commit()
    connection.close()


def secrets_found(hub: HubFiles) -> frozenset[Secret]:
    return search(hub.pieces(), needles(SECRETS)).secrets


PLACES = [into_row, into_payload, into_log, into_request]


def test_nothing_is_found_where_nothing_is(hub: HubFiles) -> None:
    searched = search(hub.pieces(), needles(SECRETS))
    assert searched.findings == []
    assert searched.pieces > 5 and searched.bytes_total > 50_000


@pytest.mark.parametrize("secret", SECRETS, ids=str)
@pytest.mark.parametrize("plant", PLACES)
def test_every_spelling_is_found_in_every_place(hub: HubFiles, plant: Callable, secret: Secret) -> None:
    for number, (content, how) in enumerate(spellings(secret.value).items()):
        marked = Secret("argument", secret.value)  # found by its own needle alone, not by another spelling's
        plant(hub, b"<" + content + b">")
        (only,) = [needle for needle in needles([marked]) if needle.content == content]
        assert search(hub.pieces(), [only]).secrets == {marked}, (number, how)


@pytest.mark.parametrize("plant", [into_text_row, into_log, into_request, into_path])
def test_a_text_is_found_in_places_for_text(hub: HubFiles, plant: Callable) -> None:
    plant(hub, b"by worst_radius only")
    assert secrets_found(hub) == {TEXT}


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


def in_json(content: bytes) -> bytes:
    return json.dumps({"input": base64.b64encode(content).decode()}).encode()


HIDING: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "weak zlib": lambda content: zlib.compress(content, 1),
    "deflate": raw_deflate,
    "base64": base64.b64encode,
    "URL-safe base64": base64.urlsafe_b64encode,
    "base64 without padding": lambda content: base64.b64encode(content).rstrip(b"="),
    "base32": base64.b32encode,
    "hex": lambda content: content.hex().encode(),
    "gzip in base64 in JSON": lambda content: in_json(gzip.compress(content)),
    "gzip in base64 in JSON in base64": lambda content: base64.b64encode(in_json(gzip.compress(content))),
    "deflate in base64 in JSON": lambda content: in_json(raw_deflate(content)),
    "base64 in base64 in JSON": lambda content: in_json(base64.b64encode(content)),
    "base64 in gzip": lambda content: gzip.compress(base64.b64encode(content)),
    "JSON in JSON": lambda content: json.dumps({"body": json.dumps({"x": content.decode("latin-1")})}).encode(),
    "escaped JSON": lambda content: b'"' + b"".join(b"\\u%04x" % byte for byte in content) + b'"',
}


@pytest.mark.parametrize("hide", HIDING.values(), ids=HIDING)
def test_a_text_is_found_however_it_is_wrapped(hub: HubFiles, hide: Callable[[bytes], bytes]) -> None:
    into_row(hub, hide(b'{"method": "mean", "columns": ["worst_radius"], "rest": "' + b"x" * 40 + b'"}'))
    assert secrets_found(hub) == {TEXT}


@pytest.mark.parametrize("hide", [HIDING["gzip"], HIDING["gzip in base64 in JSON"], HIDING["base64"]])
@pytest.mark.parametrize("plant", PLACES)
def test_packed_numbers_are_found_however_they_are_wrapped(hub: HubFiles, plant: Callable, hide: Callable) -> None:
    packed = struct.pack("<60d", *range(59), NUMBER.value)
    plant(hub, hide(packed))
    assert secrets_found(hub) == {NUMBER}


def test_what_was_overwritten_is_found_in_the_write_ahead_log(hub: HubFiles) -> None:
    connection = sqlite3.connect(hub.database)
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("INSERT INTO run (label) VALUES ('worst_radius')")
    connection.commit()
    connection.execute("DELETE FROM run WHERE label IS NOT NULL")
    connection.commit()
    assert search(rows(hub.database), needles(SECRETS)).findings == []
    assert secrets_found(hub) == {TEXT}
    connection.close()


def test_a_float_column_is_searched(hub: HubFiles) -> None:
    execute(hub, "INSERT INTO run (started) VALUES (?)", NUMBER.value)
    assert search(rows(hub.database), needles(SECRETS)).secrets == {NUMBER}


def test_a_finding_says_where(hub: HubFiles) -> None:
    into_row(hub, gzip.compress(b"worst_radius"))
    found = [str(finding) for finding in search(rows(hub.database), needles(SECRETS)).findings]
    assert found == ["column worst_radius as UTF-8 in run.content, row 2 > gzip"]


def test_a_request_that_is_being_written_is_searched_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "requests").write_bytes(
        b'{"method": "POST", "path": "/a", "body_bytes": 3}\nabc\n{"method": worst_radius'
    )
    assert search(requests(tmp_path / "requests"), needles(SECRETS)).secrets == {TEXT}


def test_nothing_is_found_across_two_pieces() -> None:
    pieces = [Piece("a", b"worst_"), Piece("b", b"radius")]
    assert search(pieces, needles([TEXT])).findings == []


def test_a_needle_between_two_chunks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.places.LARGEST_WHOLE_BYTES", 0)
    monkeypatch.setattr("demo.places.CHUNK_BYTES", 10_000)
    file = tmp_path / "hub.log"
    file.write_bytes(b"." * 9_995 + b"worst_radius" + b"." * 9_995)
    files = HubFiles(tmp_path / "hub.sqlite", tmp_path / "none", (file,), tmp_path / "none")
    sqlite3.connect(files.database).close()
    assert search(files.pieces(), needles([TEXT])).secrets == {TEXT}


def test_megabytes_take_seconds() -> None:
    draw = random.Random(3)
    many = [Secret("result", draw.uniform(0.1, 1000)) for _ in range(400)]
    pieces = [Piece("sealed", draw.randbytes(4_000_000)), Piece("text", base64.b64encode(draw.randbytes(3_000_000)))]
    before = time.process_time()
    assert search(pieces, needles(many)).findings == []
    assert time.process_time() - before < 15
