"""Files on their way into and out of a sandbox: a tar written by us, and a tar that is not believed."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from vnode.executors.errors import OutputInvalid, OutputMissing, OutputTooLarge

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One file or, with `content` None, one folder of a tar that we write."""

    path: str
    mode: int
    owner: int
    content: bytes | Path | None = None


def pack(entries: Iterable[Entry]) -> bytes | Iterator[bytes]:
    """A tar as one piece if everything is in memory already, else as a stream of bounded pieces."""
    entries = tuple(entries)
    pieces = _pieces(entries)
    return pieces if any(isinstance(entry.content, Path) for entry in entries) else b"".join(pieces)


def _pieces(entries: Iterable[Entry]) -> Iterator[bytes]:
    for entry in entries:
        if isinstance(entry.content, Path):
            with entry.content.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(0)
                yield _header(entry, size)
                yield from _exactly(file, size)
        else:
            content = entry.content or b""
            yield _header(entry, len(content))
            yield content
            yield _padding(len(content))
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(entry: Entry, size: int) -> bytes:
    info = tarfile.TarInfo(entry.path)
    info.type = tarfile.DIRTYPE if entry.content is None else tarfile.REGTYPE
    info.mode, info.uid, info.gid, info.size = entry.mode, entry.owner, entry.owner, size
    return info.tobuf(tarfile.PAX_FORMAT)


def _exactly(file: BinaryIO, size: int) -> Iterator[bytes]:
    """`size` bytes even if the file changes meanwhile: the header has promised them."""
    left = size
    while left:
        chunk = file.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise OSError(f"{file.name} became shorter while it was read")
        left -= len(chunk)
        yield chunk
    yield _padding(size)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


class _Pull:
    """A file to read from, out of a stream of pieces."""

    def __init__(self, pieces: Iterator[bytes]):
        self._pieces, self._held = pieces, memoryview(b"")

    def read(self, size: int) -> bytes:
        out = []
        while size > 0:
            if not self._held:
                self._held = memoryview(next(self._pieces, b""))
                if not self._held:
                    break
            out.append(self._held[:size])
            size -= len(out[-1])
            self._held = self._held[len(out[-1]) :]
        return b"".join(out)


def unpack_file(pieces: Iterator[bytes], sink: BinaryIO, limit_bytes: int) -> int:
    """Copy the one regular file that the tar holds; count what arrives, whatever the header says."""
    with _reading(pieces) as tar:
        member = tar.next()
        if member is None:
            raise OutputMissing()
        if not member.isreg() or member.issparse():
            raise OutputInvalid()
        if member.size > limit_bytes:
            raise OutputTooLarge(f"The output has {member.size} bytes; the limit is {limit_bytes}.")
        file = cast(BinaryIO, tar.extractfile(member))
        copied = 0
        while chunk := file.read(CHUNK_BYTES):
            copied += len(chunk)
            if copied > limit_bytes:
                raise OutputTooLarge(f"The output has more than {limit_bytes} bytes, which is the limit.")
            sink.write(chunk)
        return copied


def regular_files(pieces: Iterator[bytes], limit_members: int) -> tuple[str, ...]:
    """Names of the regular files directly inside the one folder that the tar holds."""
    names = []
    with _reading(pieces) as tar:
        for count, member in enumerate(tar):
            if count > limit_members:
                raise OutputTooLarge(f"There are more than {limit_members} outputs, which is the limit.")
            parts = member.name.strip("/").split("/")
            if member.isreg() and not member.issparse() and len(parts) == 2:
                names.append(parts[1])
    return tuple(sorted(names))


def _reading(pieces: Iterator[bytes]) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=cast(BinaryIO, _Pull(pieces)), mode="r|", bufsize=CHUNK_BYTES)
    except tarfile.TarError as error:
        raise OutputInvalid() from error
