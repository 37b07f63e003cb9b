from typing import Any

from sqlalchemy import JSON, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from vserver.db import Base


class Event(Base):
    """Ids, states and reason codes only; written in the transaction that made the change. No foreign keys: an event
    stays true when what it is about has gone."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(80))
    collaboration_id: Mapped[int | None] = mapped_column(index=True)
    job_id: Mapped[str | None] = mapped_column(String(32))
    task_id: Mapped[int | None]
    run_id: Mapped[int | None]
    organization_id: Mapped[int | None]
    node_id: Mapped[int | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  ids never come again: watchers remember them
