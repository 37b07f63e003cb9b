"""Storing and finding payloads. Everything is checked against the payload's own trailer, without a key."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, undefer

from vprotocol.envelope.format import Parts, leaf, read_parts, segment_length
from vprotocol.errors import BadRequest, Conflict, NotFound, TooLarge
from vprotocol.ids import PayloadId
from vprotocol.messages.documents import INLINE_LIMIT_BYTES
from vserver.authz import Kind, Principal, Target
from vserver.payloads.model import Payload, PayloadSegment, PayloadUse

UNUSED_KEPT_S = 2 * 86_400.0


class PayloadIncomplete(Conflict):
    """This payload is still being uploaded."""

    code = "payload_incomplete"
    hint = "Its status lists the segments that are missing."


class PayloadDeleted(NotFound):
    """The payload was removed with its job; only its digest is kept."""

    code = "payload_deleted"


@dataclass(frozen=True)
class Whole:
    """A small sealed payload that came inside a message, checked as far as one can without keys."""

    parts: Parts
    data: bytes

    @property
    def id(self) -> PayloadId:
        return self.parts.id


def read_whole(data: bytes) -> Whole:
    """:raises TooLarge: not for messages. :raises Damaged: not a sealed payload, or changed."""
    if len(data) > INLINE_LIMIT_BYTES:
        raise TooLarge(f"A payload inside a message has at most {INLINE_LIMIT_BYTES} bytes, this one has {len(data)}.")
    parts = read_parts(io.BytesIO(data))
    body = memoryview(data)[parts.body_offset : parts.body_offset + parts.statement.length]
    parts.check_leaves([leaf(body)])
    return Whole(parts, data)


# --- storing ---------------------------------------------------------------------------------------------------------
def _row(parts: Parts, principal: Principal, now: float) -> dict[str, object]:
    return {
        "id": parts.id,
        "kind": parts.header.kind.value,
        "suite": int(parts.header.suite),
        "total_bytes": parts.total_bytes,
        "body_bytes": parts.statement.length,
        "body_offset": parts.body_offset,
        "segments": parts.statement.segments,
        "uploader": principal.label,
        "organization_id": principal.organization_id,
        "created_at": now,
        "completed_at": None,
        "deleted_at": None,
        "leaves": None,
        "inline": None,
    }


def insert_new(session: Session, table: type, rows: Sequence[Mapping[str, object]]) -> None:
    """Insert what is not there yet; one statement."""
    if rows:
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        session.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def store_whole(session: Session, payloads: Iterable[Whole], principal: Principal, now: float) -> None:
    """Keep small payloads in the database. One that is being uploaded in segments, or was deleted, is here now."""
    rows = [
        {**_row(whole.parts, principal, now), "inline": whole.data, "completed_at": now}
        for whole in {whole.id: whole for whole in payloads}.values()
    ]
    if not rows:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(Payload)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[Payload.id],
            set_={name: statement.excluded[name] for name in ("inline", "leaves", "completed_at", "deleted_at")},
            where=Payload.completed_at.is_(None) | Payload.deleted_at.is_not(None),
        ),
        rows,
    )


def announce(session: Session, parts: Parts, leaves: Sequence[bytes], principal: Principal, now: float) -> bool:
    """Begin an upload. False: this payload is known already, complete or not."""
    known = session.get(Payload, parts.id)
    if known is not None and known.deleted_at is None:
        return False
    row = {**_row(parts, principal, now), "leaves": b"".join(leaves)}
    if known is None:
        insert_new(session, Payload, [row])  # another upload of it may begin at this moment
    else:
        session.execute(update(Payload).where(Payload.id == parts.id).values(**row))
        session.refresh(known)
    session.flush()
    return True


@dataclass(frozen=True)
class Slot:
    """Where a segment goes."""

    payload_id: PayloadId
    number: int
    length: int
    leaf: bytes
    body_offset: int
    present: bool


def slot(session: Session, payload_id: PayloadId, number: int, principal: Principal) -> Slot:
    """:raises NotFound: nobody announced this payload, the caller is not who did, or it has no such segment."""
    found = session.get(Payload, payload_id, options=[undefer(Payload.leaves)])
    if found is None or found.deleted_at is not None or not _uploads(found, principal):
        raise NotFound("You have not announced this payload.", hint="POST its header, trailer and leaf hashes first.")
    if number >= found.segments:
        raise NotFound(f"This payload has {found.segments} segments, numbered from 0.")
    if found.leaves is None:
        raise Conflict("This payload came inside a message and is complete.", hint="Nothing to do.")
    present = found.completed_at is not None or session.get(PayloadSegment, (payload_id, number)) is not None
    wanted = found.leaves[32 * number : 32 * number + 32]
    length = segment_length(found.body_bytes, number)
    return Slot(payload_id, number, length, wanted, found.body_offset, present)


def arrived(session: Session, payload_id: PayloadId, number: int, now: float) -> None:
    """The segment is on the disk. With the last one the payload is complete."""
    # The row is locked first, so that of two last segments at the same time one sees the other.
    found = session.scalar(select(Payload).where(Payload.id == payload_id).with_for_update())
    if found is None or found.completed_at is not None:
        return
    insert_new(session, PayloadSegment, [{"payload_id": payload_id, "number": number}])
    count = session.scalar(select(func.count()).where(PayloadSegment.payload_id == payload_id))
    if count == found.segments:
        found.completed_at = now
        session.execute(delete(PayloadSegment).where(PayloadSegment.payload_id == payload_id))
    session.flush()


def use(session: Session, payload_ids: Iterable[PayloadId], job_id: str, collaboration_id: int) -> None:
    """From now on these payloads belong to what the job's collaboration may fetch."""
    rows = [
        {"payload_id": payload_id, "job_id": job_id, "collaboration_id": collaboration_id}
        for payload_id in sorted(set(payload_ids))
    ]
    insert_new(session, PayloadUse, rows)


# --- finding ---------------------------------------------------------------------------------------------------------
def complete(session: Session, payload_ids: Iterable[PayloadId], principal: Principal) -> set[PayloadId]:
    """Which of these are here completely and the caller's to refer to: own ones, or of the caller's collaborations."""
    wanted = set(payload_ids)
    if not wanted:
        return set()
    shared = exists().where(
        PayloadUse.payload_id == Payload.id, PayloadUse.collaboration_id.in_(principal.collaboration_ids)
    )
    mine = (Payload.uploader == principal.label) | (Payload.organization_id == principal.organization_id)
    rows = session.scalars(
        select(Payload.id).where(
            Payload.id.in_(wanted),
            Payload.completed_at.is_not(None),
            Payload.deleted_at.is_(None),
            mine | shared,
        )
    )
    return set(rows)


def payload(session: Session, payload_id: PayloadId, *, with_inline: bool = False) -> Payload:
    """:raises NotFound: unknown. :raises PayloadDeleted: removed with its job."""
    options = [undefer(Payload.inline)] if with_inline else []
    found = session.get(Payload, payload_id, options=options)
    if found is None:
        raise NotFound(f"There is no payload {payload_id}.")
    if found.deleted_at is not None:
        raise PayloadDeleted()
    return found


def missing_segments(session: Session, found: Payload) -> tuple[int, ...]:
    if found.completed_at is not None:
        return ()
    here = set(session.scalars(select(PayloadSegment.number).where(PayloadSegment.payload_id == found.id)))
    return tuple(number for number in range(found.segments) if number not in here)


def target(session: Session, found: Payload, principal: Principal) -> Target:
    """Whose the payload is, as this caller sees it: its uploader's, and all members' of the collaborations using it."""
    collaborations = frozenset(
        session.scalars(select(PayloadUse.collaboration_id).where(PayloadUse.payload_id == found.id).distinct())
    )
    shared = collaborations & principal.collaboration_ids
    # A member of the collaboration reads it as something of its own organization.
    organizations = {principal.organization_id} if shared and principal.organization_id is not None else set()
    kind, _, number = found.uploader.partition(":")
    return Target(
        organizations=frozenset(organizations),
        collaborations=collaborations,
        owners=frozenset({(Kind(kind), int(number))}),
    )


def inline_bytes(session: Session, payload_ids: Iterable[PayloadId]) -> dict[PayloadId, tuple[int, bytes | None]]:
    """Length, and the bytes of those that are small, for all of these in one query."""
    wanted = set(payload_ids)
    if not wanted:
        return {}
    rows = session.execute(
        select(Payload.id, Payload.total_bytes, Payload.inline, Payload.deleted_at).where(Payload.id.in_(wanted))
    )
    return {row.id: (row.total_bytes, None if row.deleted_at is not None else row.inline) for row in rows}


def lengths(session: Session, payload_ids: Iterable[PayloadId]) -> dict[PayloadId, tuple[int, bytes | None]]:
    """As `inline_bytes`, without the bytes."""
    wanted = set(payload_ids)
    if not wanted:
        return {}
    rows = session.execute(select(Payload.id, Payload.total_bytes).where(Payload.id.in_(wanted)))
    return {row.id: (row.total_bytes, None) for row in rows}


def leaves_of(texts: Sequence[str]) -> list[bytes]:
    try:
        return [bytes.fromhex(text) for text in texts]
    except ValueError:
        raise BadRequest("A leaf hash is 64 hex digits.") from None


# --- removing --------------------------------------------------------------------------------------------------------
def delete_of_job(session: Session, job_id: str, now: float) -> list[PayloadId]:
    """Forget the bytes of all that only this job used; answers the ids whose files may go, once this is committed."""
    others = select(PayloadUse.payload_id).where(PayloadUse.job_id != job_id)
    mine = select(PayloadUse.payload_id).where(PayloadUse.job_id == job_id)
    rows = session.scalars(
        update(Payload)
        .where(Payload.id.in_(mine), Payload.id.not_in(others), Payload.deleted_at.is_(None))
        .values(deleted_at=now, inline=None, leaves=None)
        .returning(Payload.id)
        .execution_options(synchronize_session=False)
    )
    return list(rows)


def forget_unused(session: Session, now: float) -> list[PayloadId]:
    """Uploads that no job came for."""
    rows = session.scalars(
        update(Payload)
        .where(
            Payload.created_at < now - UNUSED_KEPT_S,
            Payload.deleted_at.is_(None),
            ~exists().where(PayloadUse.payload_id == Payload.id),
        )
        .values(deleted_at=now, inline=None, leaves=None)
        .returning(Payload.id)
        .execution_options(synchronize_session=False)
    )
    return list(rows)


def recently_deleted(session: Session, since: float) -> list[PayloadId]:
    """What was deleted since then: a crash may have left its file."""
    return list(session.scalars(select(Payload.id).where(Payload.deleted_at >= since)))


def check_complete(found: Payload) -> None:
    if found.completed_at is None:
        raise PayloadIncomplete()


def _uploads(found: Payload, principal: Principal) -> bool:
    return found.uploader == principal.label or (
        found.organization_id is not None and found.organization_id == principal.organization_id
    )
