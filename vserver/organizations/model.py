from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from vserver.db import Base


class Organization(Base):
    """An organization; its key log is kept as it was uploaded, entry by entry verbatim."""

    __tablename__ = "organization"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64), unique=True)
    key_log: Mapped[dict[str, Any] | None] = mapped_column(JSON, deferred=True)
    key_log_number: Mapped[int] = mapped_column(default=-1)  # of the newest entry; -1: no identity yet
    created_at: Mapped[float]
    version: Mapped[int] = mapped_column()

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  (an id is never given twice)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
