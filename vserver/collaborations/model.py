from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from vserver.db import Base


class Collaboration(Base):
    """`name` is 128 random bits that the creator chose: plans and grants use it, people read `display_name`."""

    __tablename__ = "collaboration"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    display_name: Mapped[str] = mapped_column(String(200), unique=True)
    encrypted: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[float]
    version: Mapped[int] = mapped_column()

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  (an id is never given twice)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Membership(Base):
    __tablename__ = "membership"
    collaboration_id: Mapped[int] = mapped_column(ForeignKey("collaboration.id", ondelete="CASCADE"), primary_key=True)
    organization_id: Mapped[int] = mapped_column(
        ForeignKey("organization.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    since: Mapped[float]
