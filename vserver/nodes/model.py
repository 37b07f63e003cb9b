from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from vserver.db import Base


class Node(Base):
    """A data station of one organization. Its API key is known only by its SHA-256."""

    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organization.id"), index=True)
    api_key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    software_version: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[float]
    last_sync_at: Mapped[float | None]
    version: Mapped[int] = mapped_column()

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  (an id is never given twice)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
