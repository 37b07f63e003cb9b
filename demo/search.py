"""One pass over any amount of bytes for any number of needles; pieces are small, so that a finding has a place."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from demo.layers import layers
from demo.needles import LEAST_BYTES, Needle, Secret

_BATCH_BYTES = 4 * 1024 * 1024
_BETWEEN = b"\n\xff\x00\xff\x00\xff\n"
_FIBONACCI = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Piece:
    """Some bytes, and where they are."""

    where: str
    content: bytes


@dataclass(frozen=True)
class Finding:
    secret: Secret
    spelling: str
    where: str

    def __str__(self) -> str:
        return f"{self.secret} as {self.spelling} in {self.where}"


@dataclass
class Searched:
    """What a search has looked at and found."""

    findings: list[Finding] = field(default_factory=list)
    pieces: int = 0
    bytes_total: int = 0  # layers included
    layers: int = 0

    @property
    def secrets(self) -> frozenset[Secret]:
        return frozenset(finding.secret for finding in self.findings)


class Scanner:
    """Finds all needles in one pass: the first six bytes at every place are looked up in a table, then compared."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self._by_start: dict[bytes, list[Needle]] = defaultdict(list)
        for needle in needles:
            self._by_start[needle.content[:LEAST_BYTES]].append(needle)
        starts = np.array([int.from_bytes(start, "little") for start in self._by_start], dtype=np.uint64)
        self._bits = max(12, (64 * len(starts)).bit_length())  # at most one slot in 64 is taken
        self._maybe = np.zeros(1 << self._bits, dtype=bool)
        self._maybe[self._slots(starts)] = True

    def find(self, content: bytes) -> Iterator[tuple[int, Needle]]:
        """(place, needle) for every needle in the bytes."""
        for place in self._candidates(content):
            for needle in self._by_start.get(content[place : place + LEAST_BYTES], ()):
                if content.startswith(needle.content, place):
                    yield place, needle

    def _candidates(self, content: bytes) -> list[int]:
        places = len(content) - LEAST_BYTES + 1
        if places <= 0:
            return []
        given: NDArray[np.uint8] = np.frombuffer(content, dtype=np.uint8)
        windows = np.zeros(places, dtype=np.uint64)
        for number in range(LEAST_BYTES):
            windows |= given[number : number + places].astype(np.uint64) << np.uint64(8 * number)
        return [int(place) for place in np.flatnonzero(self._maybe[self._slots(windows)])]

    def _slots(self, windows: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (windows * _FIBONACCI) >> np.uint64(64 - self._bits)


def search(pieces: Iterable[Piece], needles: Iterable[Needle]) -> Searched:
    """Look for every needle in every piece and in every layer below it."""
    scanner, searched = Scanner(needles), Searched()
    seen: set[tuple[Secret, str]] = set()
    for where, content in _batches(_with_layers(pieces, searched)):
        for place, needle in scanner.find(content):
            found_at = _piece_at(where, place)
            if (needle.secret, found_at) not in seen:
                seen.add((needle.secret, found_at))
                searched.findings.append(Finding(needle.secret, needle.spelling, found_at))
    return searched


def _with_layers(pieces: Iterable[Piece], searched: Searched) -> Iterator[Piece]:
    for piece in pieces:
        searched.pieces += 1
        searched.bytes_total += len(piece.content)
        yield piece
        for how, inner in layers(piece.content):
            searched.layers += 1
            searched.bytes_total += len(inner)
            yield Piece(f"{piece.where} > {how}", inner)


Batch = tuple[list[tuple[int, str]], bytes]  # where each piece begins, and all of them in one


def _batches(pieces: Iterable[Piece]) -> Iterator[Batch]:
    """Many small pieces as one. Between them stand bytes that no needle holds, so none is found across two."""
    starts: list[tuple[int, str]] = []
    joined = bytearray()
    for piece in pieces:
        starts.append((len(joined), piece.where))
        joined += piece.content + _BETWEEN
        if len(joined) >= _BATCH_BYTES:
            yield starts, bytes(joined)
            starts, joined = [], bytearray()
    if starts:
        yield starts, bytes(joined)


def _piece_at(starts: list[tuple[int, str]], place: int) -> str:
    low, high = 0, len(starts)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if starts[middle][0] <= place else (low, middle)
    return starts[low][1]
