"""Encrypting and hashing a body of any size at constant memory. Knows keys, and no header.

Cobblestone-256 (C2SP chunked-encryption) encrypts; segments of 8 MiB of ciphertext are hashed beside it, in two
threads, because hashing is slower than encrypting.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from vprotocol.envelope.format import SEGMENT_BYTES, leaf
from vprotocol.errors import Damaged

CHUNK_BYTES = 1024 * 1024
_LABEL = b"vestal/body/v1\x00"
_THREADS = 2
_PENDING = 2  # whole segments in memory at once, beside the one that is being filled


class _Cipher(Protocol):
    def update(self, data: bytes) -> bytes: ...
    def finalize(self) -> bytes: ...


class _Plain:
    """Suite 0: the body is the content."""

    def update(self, data: bytes) -> bytes:
        return data

    def finalize(self) -> bytes:
        return b""


class SegmentHasher:
    """Hashes of consecutive segments. A context manager: it may hold threads.

    What is handed in is kept until it is hashed, never copied: it must not change.
    """

    def __init__(self) -> None:
        self._parts: list[memoryview] = []  # of the segment that is being filled
        self._filled = 0
        self._leaves: list[bytes] = []
        self._pending: deque[Future[bytes]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self.length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def update(self, data: bytes) -> None:
        self.length += len(data)
        left = memoryview(data)
        while left:
            if self._filled == SEGMENT_BYTES:
                self._submit()
            part = left[: SEGMENT_BYTES - self._filled]
            self._parts.append(part)
            self._filled += len(part)
            left = left[len(part) :]

    def finish(self) -> list[bytes]:
        while self._pending:
            self._leaves.append(self._pending.popleft().result())
        self._leaves.append(leaf(*self._parts))
        self._parts.clear()
        return self._leaves

    def _submit(self) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="segment-hash")
        if len(self._pending) >= _PENDING:
            self._leaves.append(self._pending.popleft().result())
        self._pending.append(self._pool.submit(leaf, *self._parts))
        self._parts, self._filled = [], 0


def seal_body(
    source: BinaryIO, sink: BinaryIO, content_key: bytes | None, context_hash: bytes
) -> tuple[list[bytes], int]:
    """Encrypt all of `source` to `sink` (`content_key` none: copy).

    Returns the hashes of the segments written, and the number of bytes written.
    """
    cipher: _Cipher = _Plain() if content_key is None else Cobblestone256Encryptor(content_key, _LABEL + context_hash)
    with SegmentHasher() as hasher:
        for chunk in _chunks(source, CHUNK_BYTES):
            _pass(cipher.update(chunk), sink, hasher)
        _pass(cipher.finalize(), sink, hasher)
        leaves = hasher.finish()
        return leaves, hasher.length


def open_body(source: BinaryIO, length: int, sink: BinaryIO, content_key: bytes | None, context_hash: bytes) -> None:
    """Decrypt the next `length` bytes of `source` to `sink`.

    :raises Damaged: not what was encrypted under this key and context.
    """
    cipher: _Cipher = _Plain() if content_key is None else Cobblestone256Decryptor(content_key, _LABEL + context_hash)
    try:
        for chunk in _exactly(source, length):
            sink.write(cipher.update(chunk))
        sink.write(cipher.finalize())
    except InvalidTag:
        raise Damaged("the body was not encrypted with this key for this payload") from None


def hash_body(source: BinaryIO, length: int) -> list[bytes]:
    """Hashes of the segments of the next `length` bytes of `source`.

    :raises Damaged: there are fewer bytes.
    """
    with SegmentHasher() as hasher:
        for chunk in _exactly(source, length):
            hasher.update(chunk)
        return hasher.finish()


def _exactly(source: BinaryIO, length: int) -> Iterator[bytes]:
    """:raises Damaged: there are fewer bytes."""
    left = length
    while left:
        chunk = source.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise Damaged("the body is cut short")
        left -= len(chunk)
        yield chunk


def _chunks(source: BinaryIO, size: int) -> Iterator[bytes]:
    while chunk := source.read(size):
        yield chunk


def _pass(data: bytes, sink: BinaryIO, hasher: SegmentHasher) -> None:
    if data:
        sink.write(data)
        hasher.update(data)
