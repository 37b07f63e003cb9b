"""Sealed payloads to and from the hub: in segments, resumable, at constant memory."""

import base64
import binascii
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from vprotocol.envelope.format import SEGMENT_BYTES as SEGMENT_BYTES
from vprotocol.envelope.format import Parts, segment_length
from vprotocol.errors import Damaged, DeadlineExceeded
from vprotocol.messages.documents import INLINE_LIMIT_BYTES, PayloadRef
from vprotocol.messages.payload import PayloadAnnounce, PayloadView
from vruntime.http import Http, new_key

Progress = Callable[[int, int], None]  # bytes done, bytes in all
_PARALLEL = 2
_ROUNDS = 5


def is_small(parts: Parts) -> bool:
    """Whether the payload may travel inside a message."""
    return parts.total_bytes <= INLINE_LIMIT_BYTES


def upload(
    http: Http, sealed: Path, parts: Parts, leaves: Sequence[bytes], progress: Progress | None = None
) -> PayloadView:
    """Bring a sealed file to the hub; what is there already is not sent again. Repeating it is harmless.

    :raises DeadlineExceeded: after several rounds segments are still missing.
    """
    announce = PayloadAnnounce(
        header=b64(parts.header_bytes), trailer=b64(parts.trailer_bytes), leaves=tuple(leaf.hex() for leaf in leaves)
    ).to_wire()
    for _ in range(_ROUNDS):
        view = PayloadView.from_wire(http.post("/payload", announce, once=new_key()))
        if view.complete:
            return view
        _send(http, sealed, parts, view.missing, progress)
    view = PayloadView.from_wire(http.post("/payload", announce, once=new_key()))
    if not view.complete:
        raise DeadlineExceeded(f"{len(view.missing)} segments of payload {parts.id} did not arrive")
    return view


def fetch(http: Http, ref: PayloadRef, sink: BinaryIO, *, limit_bytes: int, progress: Progress | None = None) -> None:
    """Write the whole sealed payload to `sink`. What arrived is checked by whoever opens it.

    :raises Damaged: the inline bytes are not base64, or it is larger than `limit_bytes`.
    """
    if ref.inline is not None:
        try:
            sink.write(base64.b64decode(ref.inline, validate=True))
        except (binascii.Error, ValueError):
            raise Damaged("the payload in the message is not base64") from None
        return
    if ref.bytes_total > limit_bytes:
        raise Damaged(f"payload {ref.id} has {ref.bytes_total} bytes; {limit_bytes} are allowed here")
    done = 0

    def write(chunk: bytes) -> None:
        nonlocal done
        sink.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, ref.bytes_total)

    http.download(f"/payload/{ref.id}", write, max_bytes=limit_bytes)


def fetch_bytes(http: Http, ref: PayloadRef, *, limit_bytes: int) -> bytes:
    """`fetch` for what fits into memory."""
    sink = io.BytesIO()
    fetch(http, ref, sink, limit_bytes=limit_bytes)
    return sink.getvalue()


def _send(http: Http, sealed: Path, parts: Parts, missing: Sequence[int], progress: Progress | None) -> None:
    total = parts.statement.length
    done = total - sum(segment_length(total, number) for number in missing)

    def send(number: int) -> int:
        length = segment_length(total, number)
        with sealed.open("rb") as source:
            source.seek(parts.body_offset + number * SEGMENT_BYTES)
            http.upload(f"/payload/{parts.id}/segment/{number}", source.read(length))
        return length

    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="upload") as pool:
        for length in pool.map(send, missing):
            done += length
            if progress is not None:
                progress(done, total)


def b64(data: bytes) -> str:
    """Standard base64, as messages carry bytes."""
    return base64.b64encode(data).decode("ascii")
