"""Where a hub keeps anything: the rows of its database, the raw files, payloads, logs, and the requests it got."""

import json
import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.search import Piece

CHUNK_BYTES = 1024 * 1024
OVERLAP_BYTES = 4096  # longer than any needle: one that lies across two chunks is found in the second
LARGEST_WHOLE_BYTES = 64 * 1024 * 1024  # compressed streams can be followed in a whole file only
FLUSHED_LINE = b"\n"


@dataclass(frozen=True)
class HubFiles:
    """Everything that a hub on this machine wrote."""

    database: Path
    payloads: Path
    logs: tuple[Path, ...]
    requests: Path

    def pieces(self) -> Iterator[Piece]:
        yield from rows(self.database)
        for file in (self.database, *beside(self.database)):
            yield from chunks(file, f"database file {file.name}")
        for file in files_below(self.payloads):
            yield from chunks(file, f"payload {file.relative_to(self.payloads)}")
        for log in self.logs:
            yield from chunks(log, f"log {log.name}")
        yield from requests(self.requests)


def rows(database: Path) -> Iterator[Piece]:
    """Every value of every column of every table, read through SQLite while the hub goes on."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    connection.text_factory = bytes
    try:
        tables = [name.decode() for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for table in tables:
            cursor = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  (a name from the database itself)
            columns = [column[0] for column in cursor.description]
            for number, row in enumerate(cursor, 1):
                for column, value in zip(columns, row, strict=True):
                    if value is not None:
                        yield Piece(f"{table}.{column}, row {number}", stored(value))
    finally:
        connection.close()


def stored(value: Any) -> bytes:
    """A value of a database as bytes; a float both written out and packed."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        return repr(value).encode() + b" " + struct.pack("<d", value)
    return str(value).encode()


def beside(database: Path) -> tuple[Path, ...]:
    """The write-ahead log and its index, as far as they are there."""
    candidates = (database.with_name(database.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    return tuple(path for path in candidates if path.exists())


def files_below(folder: Path) -> Iterator[Path]:
    """Also hidden and half-written ones."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def chunks(file: Path, where: str) -> Iterator[Piece]:
    """A file in overlapping chunks, which a needle cannot slip between."""
    if not file.exists():
        return
    size = file.stat().st_size
    if size <= LARGEST_WHOLE_BYTES:
        yield Piece(where, file.read_bytes())
        return
    with file.open("rb") as opened:
        tail = b""
        while content := opened.read(CHUNK_BYTES):
            yield Piece(f"{where} near byte {opened.tell() - len(content)}", tail + content)
            tail = content[-OVERLAP_BYTES:]


def requests(recorded: Path) -> Iterator[Piece]:
    """Each request that was recorded: its line and its body."""
    if not recorded.exists():
        return
    with recorded.open("rb") as file:
        for number, line in enumerate(iter(file.readline, b""), 1):
            try:
                described = json.loads(line)
                length, path = int(described["body_bytes"]), str(described["path"])
            except (ValueError, KeyError, TypeError):
                # Being written at this moment, or not what we know: searched as it is, to the end.
                yield Piece(f"request {number}, unread", line + file.read())
                return
            where = f"request {number}, {described.get('method')} {path}"
            yield Piece(where, line)
            yield Piece(f"{where}, body", file.read(length))
            file.read(len(FLUSHED_LINE))
