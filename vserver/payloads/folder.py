"""Payloads as files: one a payload, exactly the sealed bytes, written in any order and read in any part.

Only bytes whose hash was right are ever written, so two uploads of one segment cannot spoil each other. All of it is
blocking work for `Offload`; nothing here knows the database.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vprotocol.envelope.format import LENGTH, MAGIC, SEGMENT_BYTES, Parts, leaf
from vprotocol.errors import Damaged, NotFound
from vprotocol.ids import PayloadId
from vruntime.atomic import make_private_folder, sync_folder

CHUNK_BYTES = 1024 * 1024


class PayloadFolder:
    """Names are `ab/abcdef...`: a folder never holds too many files."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder = folder
        self._durable = durable

    def path(self, payload_id: PayloadId) -> Path:
        return self._folder / payload_id[:2] / payload_id

    def begin(self, parts: Parts) -> None:
        """Make the file with all that is around the body. Doing it again changes nothing."""
        path = self.path(parts.id)
        make_private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, MAGIC + LENGTH.pack(len(parts.header_bytes)) + parts.header_bytes, 0)
            suffix = parts.trailer_bytes + LENGTH.pack(len(parts.trailer_bytes))
            _write(descriptor, suffix, parts.body_offset + parts.statement.length)
            self._sync(descriptor)
        finally:
            os.close(descriptor)
        if self._durable:
            sync_folder(path.parent)

    def put(self, payload_id: PayloadId, segment: bytes | memoryview, body_offset: int, number: int) -> None:
        """Write a segment that was checked; it is on the disk when this returns."""
        descriptor = self._open(payload_id, os.O_WRONLY)
        try:
            _write(descriptor, segment, body_offset + number * SEGMENT_BYTES)
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def open(self, payload_id: PayloadId) -> int:
        """A descriptor for reading, which the caller closes.

        :raises NotFound: the file is not there (any more).
        """
        return self._open(payload_id, os.O_RDONLY)

    def remove(self, payload_id: PayloadId) -> None:
        """Removing what is not there changes nothing."""
        self.path(payload_id).unlink(missing_ok=True)

    def _open(self, payload_id: PayloadId, flags: int) -> int:
        try:
            return os.open(self.path(payload_id), flags | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound("The bytes of this payload are not here any more.") from None

    def _sync(self, descriptor: int) -> None:
        if self._durable:
            os.fsync(descriptor)


def check_segment(segment: bytes | memoryview, wanted: bytes) -> None:
    """:raises Damaged: these are not the bytes that were announced."""
    if leaf(segment) != wanted:
        raise Damaged("the segment is not the one that was announced", hint="Send it again.")


def chunks(
    run: Callable[..., Any], descriptor: int, start: int, stop: int, close: Callable[[int], None] = os.close
) -> Iterator[bytes]:
    """Bytes `start` to `stop` of an open file, which is closed at the end; `run` is where reading happens."""
    try:
        while start < stop:
            data = run(os.pread, descriptor, min(CHUNK_BYTES, stop - start), start)
            if not data:
                raise Damaged("the file of this payload is cut short")
            start += len(data)
            yield data
    finally:
        close(descriptor)


def _write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
