from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from vserver.db import Base


class Payload(Base):
    """One sealed payload. Its bytes are either `inline` (small, came inside a message) or a file, never both.

    After deletion the row stays: its id is the digest that receipts name.
    """

    __tablename__ = "payload"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    suite: Mapped[int]
    total_bytes: Mapped[int] = mapped_column(BigInteger)
    body_bytes: Mapped[int] = mapped_column(BigInteger)
    body_offset: Mapped[int]
    segments: Mapped[int]
    leaves: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)  # 32 bytes a segment; none when inline
    inline: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    uploader: Mapped[str] = mapped_column(String(40))  # label of the user or node
    organization_id: Mapped[int | None]
    created_at: Mapped[float] = mapped_column(index=True)
    completed_at: Mapped[float | None]
    deleted_at: Mapped[float | None] = mapped_column(index=True)


class PayloadSegment(Base):
    """A segment of an unfinished upload that is on disk, checked. Forgotten when the payload is complete."""

    __tablename__ = "payload_segment"
    payload_id: Mapped[str] = mapped_column(ForeignKey("payload.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


class PayloadUse(Base):
    """A job refers to this payload: the members of its collaboration may fetch it."""

    __tablename__ = "payload_use"
    payload_id: Mapped[str] = mapped_column(ForeignKey("payload.id", ondelete="CASCADE"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id", ondelete="CASCADE"), primary_key=True, index=True)
    collaboration_id: Mapped[int]
