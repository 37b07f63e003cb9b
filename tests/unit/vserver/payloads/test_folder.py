"""Files of payloads: written in any order, read in any part, exactly the sealed bytes."""

import io
import os
import secrets
from pathlib import Path
from typing import Any

import pytest

from vprotocol.envelope import Context, PayloadKind, Suite, seal
from vprotocol.envelope.format import SEGMENT_BYTES, leaf
from vprotocol.errors import Damaged, NotFound
from vprotocol.keys import KeyKind, PrivateKey
from vserver.payloads.folder import CHUNK_BYTES, PayloadFolder, check_segment, chunks


def run(work: Any, *arguments: Any) -> Any:
    return work(*arguments)


@pytest.fixture(scope="module")
def sealed() -> tuple[bytes, Any]:
    key = PrivateKey.generate(KeyKind.USER)
    context = Context(
        suite=Suite.X25519, kind=PayloadKind.RESOURCE, plan=None, path=None, organization="0" * 64, sender=key.id
    )
    sink = io.BytesIO()
    made = seal(io.BytesIO(secrets.token_bytes(SEGMENT_BYTES + 1000)), sink, context, [key.public], key)
    return sink.getvalue(), made


def body(data: bytes, parts: Any, number: int) -> bytes:
    start = parts.body_offset + number * SEGMENT_BYTES
    return data[start : min(start + SEGMENT_BYTES, parts.body_offset + parts.statement.length)]


def test_segments_in_reverse_order_make_the_sealed_bytes(tmp_path: Path, sealed: tuple[bytes, Any]) -> None:
    data, made = sealed
    folder = PayloadFolder(tmp_path)
    folder.begin(made.parts)
    for number in (1, 0):
        segment = body(data, made.parts, number)
        check_segment(segment, made.leaves[number])
        folder.put(made.id, segment, made.parts.body_offset, number)
    folder.begin(made.parts)  # again, in the middle of anything: nothing changes
    assert folder.path(made.id).read_bytes() == data
    assert folder.path(made.id).stat().st_mode & 0o077 == 0


def test_any_part_is_read_in_chunks_and_the_file_is_closed(tmp_path: Path, sealed: tuple[bytes, Any]) -> None:
    data, made = sealed
    folder = PayloadFolder(tmp_path, durable=False)
    folder.begin(made.parts)
    folder.path(made.id).write_bytes(data)
    descriptor = folder.open(made.id)
    found = list(chunks(run, descriptor, 10, 3 * CHUNK_BYTES))
    assert b"".join(found) == data[10 : 3 * CHUNK_BYTES]
    assert max(map(len, found)) <= CHUNK_BYTES
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_a_reader_that_goes_away_leaves_no_open_file(tmp_path: Path, sealed: tuple[bytes, Any]) -> None:
    data, made = sealed
    folder = PayloadFolder(tmp_path, durable=False)
    folder.begin(made.parts)
    folder.path(made.id).write_bytes(data)
    descriptor = folder.open(made.id)
    reading = chunks(run, descriptor, 0, len(data))
    next(reading)
    reading.close()
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_a_file_cut_short_breaks_the_answer_off(tmp_path: Path, sealed: tuple[bytes, Any]) -> None:
    data, made = sealed
    folder = PayloadFolder(tmp_path, durable=False)
    folder.begin(made.parts)
    folder.path(made.id).write_bytes(data[:100])
    with pytest.raises(Damaged):
        list(chunks(run, folder.open(made.id), 0, len(data)))


def test_what_is_not_there(tmp_path: Path) -> None:
    folder = PayloadFolder(tmp_path)
    folder.remove("0" * 64)
    with pytest.raises(NotFound):
        folder.open("0" * 64)


def test_a_wrong_segment_is_damaged() -> None:
    check_segment(b"right", leaf(b"right"))
    with pytest.raises(Damaged):
        check_segment(b"wrong", leaf(b"right"))
