"""/payload: uploads in segments, downloads in any part. Sealed bytes in, the same bytes out."""

import base64
import binascii
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Response, request
from sqlalchemy.orm import Session

from vprotocol import messages as m
from vprotocol.envelope.format import Parts
from vprotocol.errors import BadMessage, BadRequest, Damaged, NotFound, Unavailable, UnsupportedMediaType
from vprotocol.messages.payload import PayloadAnnounce, PayloadView
from vprotocol.roles import Action, Resource
from vserver import authz
from vserver.payloads import service
from vserver.payloads.folder import check_segment, chunks
from vserver.payloads.model import Payload
from vserver.payloads.service import PayloadDeleted, PayloadIncomplete, Slot
from vserver.web.links import Endpoint, link
from vserver.web.operation import Work, operation
from vserver.web.resource import HubResource

_VIEW = (Resource.PAYLOAD, Action.VIEW)
_CREATE = (Resource.PAYLOAD, Action.CREATE)
_READ_BYTES = 256 * 1024
# Each segment that is being received is in memory until its hash was compared: this many at once, 8 MiB each.
_AT_ONCE = 8
_TURN_S = 60.0
_receiving = threading.BoundedSemaphore(_AT_ONCE)


class _PayloadResource(HubResource):
    def view(self, session: Session, row: Payload) -> PayloadView:
        target = service.target(session, row, self.principal)
        return PayloadView(
            id=row.id,
            self_=link(Endpoint.PAYLOAD, payload_id=row.id),
            methods=self.links.methods(Endpoint.PAYLOAD, target),
            kind=row.kind,
            suite=row.suite,
            bytes_total=row.total_bytes,
            segments=row.segments,
            missing=service.missing_segments(session, row),
            complete=row.completed_at is not None,
            created_at=row.created_at,
            links={"status": link(Endpoint.PAYLOAD_STATUS, payload_id=row.id)},
        )

    def allowed(self, session: Session, payload_id: str, *, with_inline: bool = False) -> Payload:
        row = service.payload(session, payload_id, with_inline=with_inline)
        authz.require(self.principal, *_VIEW, service.target(session, row, self.principal))
        return row


class Payloads(_PayloadResource):
    place = Endpoint.PAYLOADS

    @operation(
        "Begin an upload: header, trailer and segment hashes; the answer lists the missing segments",
        body=PayloadAnnounce,
        answer=PayloadView,
        status=201,
        needs=_CREATE,
        work=Work.OWN,
        errors=(Damaged,),
    )
    def post(self) -> m.Message | Response:
        self.hub.writes.take(self.principal.label)
        asked = self.body(PayloadAnnounce)
        parts = Parts.parse(_unb64(asked.header, "header"), _unb64(asked.trailer, "trailer"))
        leaves = service.leaves_of(asked.leaves)
        parts.check_leaves(leaves)
        self.hub.files.run(self.hub.payloads.begin, parts)
        with self.hub.database.write() as session:
            new = service.announce(session, parts, leaves, self.principal, self.hub.now())
            row = service.payload(session, parts.id)
            view = self.view(session, row)
        return view if new else Response(view.to_json(), 200, mimetype="application/json")


class PayloadSegmentResource(_PayloadResource):
    place = Endpoint.PAYLOAD_SEGMENT

    @operation(
        "Upload one segment of the body: raw bytes, compared with its hash; in any order, as often as needed",
        status=204,
        needs=_CREATE,
        work=Work.OWN,
        errors=(Damaged, BadRequest, UnsupportedMediaType),
    )
    def put(self, payload_id: str, number: int) -> None:
        with self.hub.database.read() as session:
            slot = service.slot(session, payload_id, number, self.principal)
        with _turn():
            segment = _received(slot)
            self.hub.files.run(check_segment, segment, slot.leaf)
            if slot.present:
                return
            self.hub.files.run(self.hub.payloads.put, payload_id, segment, slot.body_offset, number)
        with self.hub.database.write() as session:
            service.arrived(session, payload_id, number, self.hub.now())


class PayloadStatus(_PayloadResource):
    place = Endpoint.PAYLOAD_STATUS

    @operation("What is known of a payload, and which segments are missing", answer=PayloadView, needs=_VIEW)
    def get(self, payload_id: str) -> m.Message:
        return self.view(self.session, self.allowed(self.session, payload_id))


class PayloadById(_PayloadResource):
    place = Endpoint.PAYLOAD

    @operation(
        "The whole sealed payload, or the part that Range asks for",
        needs=_VIEW,
        work=Work.OWN,
        media_type="application/octet-stream",
        errors=(PayloadIncomplete, PayloadDeleted, NotFound),
    )
    def get(self, payload_id: str) -> Response:
        with self.hub.database.read() as session:
            row = self.allowed(session, payload_id, with_inline=True)
            service.check_complete(row)
        start, stop, status = _wanted(row.total_bytes, payload_id)
        if request.method == "HEAD":
            body: object = b""
        elif row.inline is not None:
            body = row.inline[start:stop]
        else:
            descriptor = self.hub.files.run(self.hub.payloads.open, payload_id)
            body = chunks(self.hub.files.run, descriptor, start, stop)
        response = Response(body, status, mimetype="application/octet-stream")  # type: ignore[arg-type]
        response.headers["Content-Length"] = str(stop - start)
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["ETag"] = f'"{payload_id}"'
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        if status == 206:
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{row.total_bytes}"
        elif status == 416:
            response.headers["Content-Range"] = f"bytes */{row.total_bytes}"
        return response


def _wanted(total: int, payload_id: str) -> tuple[int, int, int]:
    """Start, stop and status of what the Range header asks for. What we do not understand is answered whole."""
    asked = request.range
    if asked is None or (request.if_range and request.if_range.etag not in (None, payload_id)):
        return 0, total, 200
    if asked.units != "bytes" or len(asked.ranges) != 1:
        return 0, total, 200
    found = asked.range_for_length(total)
    return (0, 0, 416) if found is None else (found[0], found[1], 206)


def _received(slot: Slot) -> memoryview:
    """The request's body: exactly the segment's length.

    :raises BadRequest: more or fewer bytes.
    """
    wrong = f"Segment {slot.number} has {slot.length} bytes."
    if request.content_length is not None and request.content_length != slot.length:
        raise BadRequest(wrong, fields={"expected": slot.length, "received": request.content_length})
    buffer = bytearray(slot.length)
    view, at = memoryview(buffer), 0
    while at < slot.length:
        data = request.stream.read(min(_READ_BYTES, slot.length - at))
        if not data:
            raise BadRequest(wrong, fields={"expected": slot.length, "received": at})
        view[at : at + len(data)] = data
        at += len(data)
    if request.stream.read(1):
        raise BadRequest(wrong, fields={"expected": slot.length})
    return view


@contextmanager
def _turn() -> Iterator[None]:
    if not _receiving.acquire(timeout=_TURN_S):
        raise Unavailable("Too many segments are being received just now.")
    try:
        yield
    finally:
        _receiving.release()


def _unb64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadMessage(f"the {what} is not base64", fields={f"/{what}": "not base64"}) from None


RESOURCES = (Payloads, PayloadById, PayloadStatus, PayloadSegmentResource)
