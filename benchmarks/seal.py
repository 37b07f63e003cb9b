"""How fast are `seal` and `open_sealed`, and how much memory do they take?

Floors: AES-256-GCM alone (chunks of 1 MiB) and SHA-256 alone over the same bytes, read from and written to the same
places, each in one thread. Small content goes through memory, 1 GiB from file to file.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.floor import Turns, in_turns, peak_bytes, reset_peak, resident_bytes
from benchmarks.options import Options
from benchmarks.report import Report
from vprotocol.envelope import Context, PayloadKind, Suite, open_sealed, seal
from vprotocol.keys import KeyKind, PrivateKey

KIB, MIB, GIB = 1024, 1024**2, 1024**3
CHUNK_BYTES = MIB
PLACES = (("tmpfs", "/dev/shm"), ("disk", None))
CHILD_TIMEOUT_S = 300

SENDER = PrivateKey(KeyKind.NODE, bytes(range(32)))
READER = PrivateKey(KeyKind.USER, bytes(range(1, 33)))
CONTEXT = Context(
    suite=Suite.XWING,
    kind=PayloadKind.OUTCOME,
    plan="ab" * 32,
    path="only[0]",
    organization="cd" * 32,
    attempt=1,
    sender=SENDER.id,
    media_type="application/octet-stream",
)


def measure(options: Options) -> Report:
    report = Report("seal")
    _in_memory(report, "1_kib", KIB, rounds=options.times(300))
    _in_memory(report, "1_mib", MIB, rounds=options.times(60))
    large = 64 * MIB if options.quick else GIB
    for name, folder in PLACES:
        if folder is None or Path(folder).is_dir():
            options.say(f"{large // MIB} MiB on {name}")
            with tempfile.TemporaryDirectory(prefix="vestal-bench-", dir=folder) as place:
                _in_files(report, name, Files(Path(place), large), rounds=options.times(5), quick=options.quick)
    report.notes.append("floors run in one thread; `seal` and `open_sealed` hash in two threads beside the cipher")
    report.notes.append("1 KiB: the HPKE wrap and the signature are the work, and neither floor has them")
    return report


# --- small content, in memory -----------------------------------------------------------------------------------
def _in_memory(report: Report, key: str, size_bytes: int, rounds: int) -> None:
    content = os.urandom(size_bytes)
    sealed = io.BytesIO()
    sealing(io.BytesIO(content), sealed)
    floors = (lambda: aes(io.BytesIO(content), io.BytesIO()), lambda: hashed(io.BytesIO(content)))
    works: dict[str, Callable[[], object]] = {
        "seal": lambda: sealing(io.BytesIO(content), io.BytesIO()),
        "open": lambda: opening(io.BytesIO(sealed.getvalue()), io.BytesIO()),
    }
    for name, work in works.items():
        turns = in_turns(work, *floors, rounds=rounds, warm_up=3)
        if size_bytes < MIB:
            report.add(f"{name}_{key}_beside_aes_gcm", turns.value_s * 1e6, "us", turns.floor_s(0) * 1e6)
            report.add(f"{name}_{key}_beside_sha256", turns.value_s * 1e6, "us", turns.floor_s(1) * 1e6)
        else:
            _add_rates(report, f"{name}_{key}", size_bytes, turns)


# --- large content, in files ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Files:
    folder: Path
    size_bytes: int

    @property
    def content(self) -> Path:
        return self.folder / "content"

    @property
    def sealed(self) -> Path:
        return self.folder / "sealed"

    @property
    def other(self) -> Path:
        return self.folder / "other"

    def fill(self) -> None:
        with self.content.open("wb") as file:
            for _ in range(self.size_bytes // CHUNK_BYTES):
                file.write(os.urandom(CHUNK_BYTES))


def _in_files(report: Report, place: str, files: Files, rounds: int, quick: bool) -> None:
    files.fill()
    _between(sealing, files.content, files.sealed)
    works: dict[str, Callable[[], object]] = {
        "seal": lambda: _between(sealing, files.content, files.sealed),
        "open": lambda: _between(opening, files.sealed, files.other),
    }
    for name, work in works.items():
        key = f"{name}_{'64_mib' if quick else '1_gib'}_{place}"
        turns = in_turns(
            work,
            lambda: _between(aes, files.content, files.other),
            lambda: _reading(hashed, files.content),
            rounds=rounds,
        )
        _add_rates(report, key, files.size_bytes, turns)
        if place == "tmpfs":
            floor = _peak_of("aes", files.content, files.other)
            source = files.content if name == "seal" else files.sealed
            report.add(f"{key}_peak", _peak_of(name, source, files.other) / MIB, "MiB", floor / MIB)


def _add_rates(report: Report, key: str, size_bytes: int, turns: Turns) -> None:
    for floor, name in enumerate(("aes_gcm", "sha256")):
        report.add(
            f"{key}_beside_{name}", size_bytes / turns.value_s / 1e9, "GB/s", size_bytes / turns.floor_s(floor) / 1e9
        )


# --- the works --------------------------------------------------------------------------------------------------
def sealing(source: BinaryIO, sink: BinaryIO) -> None:
    seal(source, sink, CONTEXT, [READER.public], SENDER)


def opening(source: BinaryIO, sink: BinaryIO) -> None:
    open_sealed(source, sink, reader=READER, sender=SENDER.public, expected=CONTEXT)


def aes(source: BinaryIO, sink: BinaryIO) -> None:
    cipher = AESGCM(bytes(32))
    for number, chunk in enumerate(_chunks(source)):
        sink.write(cipher.encrypt(number.to_bytes(12, "big"), chunk, None))


def hashed(source: BinaryIO) -> None:
    digest = sha256()
    for chunk in _chunks(source):
        digest.update(chunk)
    digest.digest()


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk


def _between(work: Callable[[BinaryIO, BinaryIO], None], source: Path, sink: Path) -> None:
    with source.open("rb") as reading, _rewritten(sink) as writing:
        work(reading, writing)


def _reading(work: Callable[[BinaryIO], None], source: Path) -> None:
    with source.open("rb") as reading:
        work(reading)


@contextmanager
def _rewritten(path: Path) -> Iterator[BinaryIO]:
    """A file whose room is kept from the last round, so that finding free pages is not what is measured."""
    with path.open("r+b" if path.exists() else "wb") as file:
        yield file
        file.truncate()


# --- peak memory, in a process of its own -----------------------------------------------------------------------
def _peak_of(work: str, source: Path, sink: Path) -> int:
    """Bytes that the work takes over what the process had before it."""
    command = [sys.executable, "-m", "benchmarks.seal", work, str(source), str(sink)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S)
    return int(json.loads(done.stdout))


def _child(work: str, source: str, sink: str) -> None:
    works = {"seal": sealing, "open": opening, "aes": aes}
    works[work](io.BytesIO(_tiny(work)), io.BytesIO())  # what is loaded at first use does not count
    reset_peak()
    before = resident_bytes()
    _between(works[work], Path(source), Path(sink))
    print(peak_bytes() - before)


def _tiny(work: str) -> bytes:
    if work != "open":
        return b"x"
    sink = io.BytesIO()
    sealing(io.BytesIO(b"x"), sink)
    return sink.getvalue()


if __name__ == "__main__":
    _child(*sys.argv[1:])
