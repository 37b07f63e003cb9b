"""Encrypting and hashing a body of any size at constant memory. Knows keys, and no header.

Cobblestone-256 (C2SP chunked-encryption) encrypts; segments of 8 MiB of ciphertext are hashed beside it, in two
threads, because hashing is slower than encrypting.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from vprotocol.envelope.format import SEGMENT_BYTES, leaf, segment_count, segment_length
from vprotocol.errors import Damaged

CHUNK_BYTES = 1024 * 1024
_LABEL = b"vestal/body/v1\x00"
_THREADS = 2
_PENDING = 4  # segments in memory at once


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
    """Hashes of consecutive segments. A context manager: it may hold threads."""

    def __init__(self) -> None:
        self._buffer = bytearray()
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
        self._buffer += data
        while len(self._buffer) > SEGMENT_BYTES:
            self._submit(bytes(self._buffer[:SEGMENT_BYTES]))
            del self._buffer[:SEGMENT_BYTES]

    def finish(self) -> list[bytes]:
        last = bytes(self._buffer)
        self._buffer.clear()
        while self._pending:
            self._leaves.append(self._pending.popleft().result())
        self._leaves.append(leaf(last))
        return self._leaves

    def _submit(self, segment: bytes) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="segment-hash")
        if len(self._pending) >= _PENDING:
            self._leaves.append(self._pending.popleft().result())
        self._pending.append(self._pool.submit(leaf, segment))


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
        left = length
        while left:
            chunk = source.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise Damaged("the body is cut short")
            left -= len(chunk)
            sink.write(cipher.update(chunk))
        sink.write(cipher.finalize())
    except InvalidTag:
        raise Damaged("the body was not encrypted with this key for this payload") from None


def hash_body(source: BinaryIO, length: int) -> list[bytes]:
    """Hashes of the segments of the next `length` bytes of `source`.

    :raises Damaged: there are fewer bytes.
    """
    if length <= SEGMENT_BYTES:
        data = source.read(length)
        if len(data) != length:
            raise Damaged("the body is cut short")
        return [leaf(data)]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="segment-hash") as pool:
        return list(_in_order(pool, _segments(source, length), leaf))


def _in_order(pool: ThreadPoolExecutor, segments: Iterator[bytes], work: Callable[[bytes], bytes]) -> Iterator[bytes]:
    pending: deque[Future[bytes]] = deque()
    for segment in segments:
        if len(pending) >= _PENDING:
            yield pending.popleft().result()
        pending.append(pool.submit(work, segment))
    while pending:
        yield pending.popleft().result()


def _segments(source: BinaryIO, length: int) -> Iterator[bytes]:
    for number in range(segment_count(length)):
        wanted = segment_length(length, number)
        segment = source.read(wanted)
        if len(segment) != wanted:
            raise Damaged("the body is cut short")
        yield segment


def _chunks(source: BinaryIO, size: int) -> Iterator[bytes]:
    while chunk := source.read(size):
        yield chunk


def _pass(data: bytes, sink: BinaryIO, hasher: SegmentHasher) -> None:
    if data:
        sink.write(data)
        hasher.update(data)
