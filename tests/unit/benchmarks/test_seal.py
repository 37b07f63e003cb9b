"""That the bench does the work it claims to do; how fast is not a test's business."""

import io
from hashlib import sha256

from benchmarks import seal


def test_what_is_sealed_is_opened():
    content = bytes(range(256)) * 8192
    sealed, opened = io.BytesIO(), io.BytesIO()
    seal.sealing(io.BytesIO(content), sealed)
    seal.opening(io.BytesIO(sealed.getvalue()), opened)
    assert opened.getvalue() == content


def test_the_floors_go_through_every_byte(monkeypatch):
    content = bytes(3 * seal.CHUNK_BYTES + 5)
    sink = io.BytesIO()
    seal.aes(io.BytesIO(content), sink)
    assert len(sink.getvalue()) == len(content) + 4 * 16

    class Watched:
        seen = sha256()

        def __init__(self) -> None:
            self.seen = Watched.seen = sha256()

        def update(self, data: bytes) -> None:
            self.seen.update(data)

        def digest(self) -> bytes:
            return self.seen.digest()

    monkeypatch.setattr(seal, "sha256", Watched)
    seal.hashed(io.BytesIO(content))
    assert Watched.seen.digest() == sha256(content).digest()
