"""What may be hidden a layer deeper: compressed streams, base64, base32, hex and JSON escapes inside bytes. Bounded."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress

DEEPEST = 4  # such as gzip in base64 in a JSON string in a request
LARGEST_STREAM_BYTES = 16 * 1024 * 1024
LEAST_STREAM_BYTES = 6

_CODED = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,6}")
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ESCAPED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def layers(content: bytes, depth: int = DEEPEST) -> Iterator[tuple[str, bytes]]:
    """(how it was reached, bytes) for everything found below `content`, at most `depth` layers down."""
    if depth == 0:
        return
    seen = set()
    for how, inner in _below(content):
        if len(inner) < LEAST_STREAM_BYTES or inner in seen:
            continue
        seen.add(inner)
        yield how, inner
        for deeper, innermost in layers(inner, depth - 1):
            yield f"{how} > {deeper}", innermost


def _below(content: bytes) -> Iterator[tuple[str, bytes]]:
    yield from _inflated(content)
    yield from _unescaped(content)
    yield from _decoded(content)


def _inflated(content: bytes) -> Iterator[tuple[str, bytes]]:
    """gzip and zlib wherever one begins; raw deflate, which has no mark, where the bytes begin."""
    for match in _GZIP.finditer(content):
        yield from _stream("gzip", content, match.start(), zlib.MAX_WBITS | 16)
    for start in _zlib_starts(content):
        yield from _stream("zlib", content, start, zlib.MAX_WBITS)
    yield from _stream("deflate", content, 0, -zlib.MAX_WBITS)


def _zlib_starts(content: bytes) -> Iterator[int]:
    """A zlib header's two bytes are a multiple of 31; 0x78 is what everybody writes."""
    start = content.find(b"\x78")
    while start >= 0:
        if start + 1 < len(content) and (0x7800 | content[start + 1]) % 31 == 0:
            yield start
        start = content.find(b"\x78", start + 1)


def _stream(name: str, content: bytes, start: int, window: int) -> Iterator[tuple[str, bytes]]:
    inflate = zlib.decompressobj(window)
    found = bytearray()
    pending = memoryview(content)[start:]
    try:
        while pending and len(found) < LARGEST_STREAM_BYTES and not inflate.eof:
            piece, pending = bytes(pending[:65536]), pending[65536:]
            found += inflate.decompress(piece, LARGEST_STREAM_BYTES - len(found))
    except zlib.error:
        pass  # the mark stood there by chance, or the stream is cut off: what came before is looked at all the same
    if len(found) >= LEAST_STREAM_BYTES:
        yield name, bytes(found)


def _unescaped(content: bytes) -> Iterator[tuple[str, bytes]]:
    """JSON strings whose text is not what stands between the quotes."""
    if b"\\" not in content:
        return
    texts = []
    for match in _ESCAPED.finditer(content):
        if b"\\" in match.group():
            try:
                texts.append(json.loads(match.group()).encode("utf-8", "surrogatepass"))
            except ValueError:
                continue  # quotes that are not JSON
    for text in texts:
        yield "JSON string", text


def _decoded(content: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _CODED.finditer(content):
        run = match.group()
        try:
            yield "hex", binascii.unhexlify(run)
            continue  # base64 of so many hex digits would be a chance of less than one in 2^32
        except binascii.Error:
            pass
        letters = run.rstrip(b"=")
        with suppress(binascii.Error):
            yield "base32", base64.b32decode(letters.upper() + b"=" * (-len(letters) % 8))
        usable = letters[: len(letters) - (len(letters) % 4 == 1)].translate(_TO_STANDARD)
        yield "base64", binascii.a2b_base64(usable + b"=" * (-len(usable) % 4))
