from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from vserver.db import Base


class Role(Base):
    """A named set of permissions; `permissions` as `authz.reach_of` reads it."""

    __tablename__ = "role"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    permissions: Mapped[str]


class UserRole(Base):
    __tablename__ = "user_role"
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), primary_key=True, index=True)


class User(Base):
    __tablename__ = "user"
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organization.id"), index=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[float]
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[float] = mapped_column(default=0.0)
    version: Mapped[int] = mapped_column()
    roles: Mapped[list[Role]] = relationship(secondary="user_role", lazy="selectin", order_by=Role.id)

    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  (an id is never given twice)
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class Token(Base):
    """An opaque bearer token, known only by its SHA-256. A family is everything that grew out of one log-in."""

    __tablename__ = "token"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    use: Mapped[str] = mapped_column(String(10))  # access, refresh
    family: Mapped[str] = mapped_column(String(32), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    issued_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    rotated_at: Mapped[float | None]


class OneTimeCode(Base):
    """A secret that works once, such as the one that makes the first administrator."""

    __tablename__ = "one_time_code"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(40), index=True)
    expires_at: Mapped[float]
