"""Opaque tokens: short access, rotating refresh, both known to the database only by their SHA-256.

Whoever presents a refresh token a second time holds a copy, or somebody else does: the whole family ends, and both
have to log in again.
"""

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import String, bindparam, case, cast, delete, func, select, update
from sqlalchemy.orm import Session

from vprotocol.errors import NotAuthenticated
from vprotocol.roles import Role as BuiltIn
from vserver.accounts.model import OneTimeCode, Role, Token, User, UserRole
from vserver.authz import Kind, Principal, role_word
from vserver.collaborations.model import Membership
from vserver.nodes.model import Node


class Use(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True)
class Lifetimes:
    access_s: float
    refresh_s: float


@dataclass(frozen=True)
class Pair:
    """What a log-in answers. The only moment at which these texts exist at the hub."""

    access: str
    refresh: str
    access_expires_at: float
    refresh_expires_at: float


def hashed(secret: str) -> str:
    # Secrets of 256 random bits need no slow hash: nobody can guess them.
    return hashlib.sha256(secret.encode()).hexdigest()


def new_api_key() -> str:
    return "vestal-node-" + secrets.token_urlsafe(32)


# --- who calls -------------------------------------------------------------------------------------------------------
_ORGANIZATION = func.coalesce(User.organization_id, Node.organization_id)
_PERMISSIONS = (
    select(func.aggregate_strings(Role.permissions, " "))
    .join(UserRole, UserRole.role_id == Role.id)
    .where(UserRole.user_id == Token.user_id)
    .correlate(Token)
    .scalar_subquery()
)
_COLLABORATIONS = (
    select(func.aggregate_strings(cast(Membership.collaboration_id, String), " "))
    .where(Membership.organization_id == _ORGANIZATION)
    .correlate(User, Node)
    .scalar_subquery()
)
# One query by primary key, with everything that deciding about the caller needs.
_CALLER = (
    select(
        Token.family,
        Token.expires_at,
        Token.user_id,
        Token.node_id,
        case((Token.user_id.is_not(None), User.username), else_=Node.name).label("name"),
        _ORGANIZATION.label("organization_id"),
        User.enabled,
        _PERMISSIONS.label("permissions"),
        _COLLABORATIONS.label("collaborations"),
    )
    .select_from(Token)
    .outerjoin(User, User.id == Token.user_id)
    .outerjoin(Node, Node.id == Token.node_id)
    .where(Token.hash == bindparam("token_hash"), Token.use == Use.ACCESS)
)


def principal_of(session: Session, access_token: str, now: float) -> Principal:
    """Who this access token belongs to.

    :raises NotAuthenticated: unknown, expired, of the wrong kind, or of a user who was switched off.
    """
    # On the connection, because there are no entities in it: the ORM would add a third to the time of every request.
    row = session.connection().execute(_CALLER, {"token_hash": hashed(access_token)}).one_or_none()
    if row is None or row.expires_at <= now or row.enabled is False:
        raise NotAuthenticated()
    is_user = row.user_id is not None
    return Principal(
        kind=Kind.USER if is_user else Kind.NODE,
        id=row.user_id if is_user else row.node_id,
        name=row.name,
        organization_id=row.organization_id,
        collaboration_ids=frozenset(int(word) for word in (row.collaborations or "").split()),
        permissions=(row.permissions or "") if is_user else role_word(BuiltIn.NODE),
        token_family=row.family,
    )


# --- tokens ----------------------------------------------------------------------------------------------------------
def issue(
    session: Session,
    lifetimes: Lifetimes,
    now: float,
    *,
    user_id: int | None = None,
    node_id: int | None = None,
    family: str | None = None,
) -> Pair:
    """A new pair for a user or a node; in a new family unless one goes on."""
    pair = Pair(
        access="vestal-access-" + secrets.token_urlsafe(32),
        refresh="vestal-refresh-" + secrets.token_urlsafe(32),
        access_expires_at=now + lifetimes.access_s,
        refresh_expires_at=now + lifetimes.refresh_s,
    )
    family = family or secrets.token_hex(16)
    for text, use, expires_at in (
        (pair.access, Use.ACCESS, pair.access_expires_at),
        (pair.refresh, Use.REFRESH, pair.refresh_expires_at),
    ):
        session.add(
            Token(
                hash=hashed(text),
                use=use,
                family=family,
                user_id=user_id,
                node_id=node_id,
                issued_at=now,
                expires_at=expires_at,
            )
        )
    return pair


def rotate(session: Session, refresh_token: str, lifetimes: Lifetimes, now: float) -> Pair | None:
    """The next pair for a refresh token, which is used up by it.

    None: the token was unknown or expired; or it was used before, and then its whole family has ended. It is an answer
    and not an error because that end must be committed.
    """
    token = session.get(Token, hashed(refresh_token))
    if token is None or token.use != Use.REFRESH or token.expires_at <= now:
        return None
    used_up = session.execute(
        update(Token)
        .where(Token.hash == token.hash, Token.rotated_at.is_(None))
        .values(rotated_at=now)
        .execution_options(synchronize_session=False)
    )
    if not used_up.rowcount:  # type: ignore[attr-defined]
        revoke_family(session, token.family)
        return None
    session.execute(delete(Token).where(Token.family == token.family, Token.use == Use.ACCESS))
    return issue(session, lifetimes, now, user_id=token.user_id, node_id=token.node_id, family=token.family)


def revoke_family(session: Session, family: str) -> None:
    """Log out: every token that grew out of this log-in ends."""
    session.execute(delete(Token).where(Token.family == family).execution_options(synchronize_session=False))


def revoke_all(
    session: Session, *, user_id: int | None = None, node_id: int | None = None, but: str | None = None
) -> None:
    """Everything that a user or node holds ends, except the family `but`."""
    whose = Token.user_id == user_id if user_id is not None else Token.node_id == node_id
    session.execute(
        delete(Token).where(whose, Token.family != (but or "")).execution_options(synchronize_session=False)
    )


def forget_expired(session: Session, now: float) -> None:
    session.execute(delete(Token).where(Token.expires_at <= now).execution_options(synchronize_session=False))
    session.execute(delete(OneTimeCode).where(OneTimeCode.expires_at <= now))


# --- one-time codes --------------------------------------------------------------------------------------------------
FIRST_ADMINISTRATOR = "first-administrator"


def new_one_time_code(session: Session, purpose: str, now: float, lifetime_s: float) -> str:
    """A code for `purpose`; earlier ones for the same purpose end."""
    code = "vestal-once-" + secrets.token_urlsafe(24)
    session.execute(delete(OneTimeCode).where(OneTimeCode.purpose == purpose))
    session.add(OneTimeCode(hash=hashed(code), purpose=purpose, expires_at=now + lifetime_s))
    return code


def use_one_time_code(session: Session, purpose: str, code: str, now: float) -> bool:
    """True for the one caller who presents it first and in time."""
    used = session.execute(
        delete(OneTimeCode).where(
            OneTimeCode.hash == hashed(code), OneTimeCode.purpose == purpose, OneTimeCode.expires_at > now
        )
    )
    return bool(used.rowcount)  # type: ignore[attr-defined]


def needs_first_administrator(session: Session) -> bool:
    """Nobody may administer this hub yet."""
    found = select(User.id).join(UserRole, UserRole.user_id == User.id).join(Role, Role.id == UserRole.role_id)
    return session.execute(found.where(Role.permissions == role_word(BuiltIn.ADMINISTRATOR)).limit(1)).first() is None
