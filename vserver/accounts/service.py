"""Users: making, changing, logging in. Nothing here hashes a password: that is slow and happens outside of sessions."""

from dataclasses import dataclass

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from vprotocol.errors import AlreadyExists, BadRequest, Conflict, NotFound
from vprotocol.roles import Action, Resource, Scope
from vprotocol.roles import Role as BuiltIn
from vserver import authz
from vserver.accounts import tokens
from vserver.accounts.model import Role, User, UserRole
from vserver.authz import Kind, Principal, Target
from vserver.organizations import service as organizations

FREE_FAILURES = 5
FIRST_LOCK_S = 2.0
LONGEST_LOCK_S = 900.0


class LastAdministrator(Conflict):
    """Without this user nobody could administer the hub any more."""

    code = "last_administrator"
    hint = "Make another administrator first."


# --- finding ---------------------------------------------------------------------------------------------------------
def user(session: Session, user_id: int) -> User:
    found = session.get(User, user_id)
    if found is None:
        raise NotFound(f"There is no user {user_id}.")
    return found


def visible(principal: Principal) -> Select[User]:
    """The users that the caller may see."""
    scope = authz.require_some(principal, Resource.USER, Action.VIEW)
    if scope is Scope.GLOBAL:
        return select(User)
    myself = User.id == principal.id if principal.kind is Kind.USER else User.id.is_(None)
    if scope is Scope.OWN or principal.organization_id is None:
        return select(User).where(myself)
    return select(User).where(myself | (User.organization_id == principal.organization_id))


def target(found: User) -> Target:
    home = frozenset() if found.organization_id is None else frozenset({found.organization_id})
    return Target(organizations=home, owners=frozenset({(Kind.USER, found.id)}))


def role(session: Session, role_id: int) -> Role:
    found = session.get(Role, role_id)
    if found is None:
        raise NotFound(f"There is no role {role_id}.")
    return found


def roles_named(session: Session, names: tuple[str, ...]) -> list[Role]:
    found = list(session.scalars(select(Role).where(Role.name.in_(names)).order_by(Role.id)))
    if unknown := set(names) - {role.name for role in found}:
        name = sorted(unknown)[0]
        raise BadRequest(f"There is no role {name!r}.", fields={"/roles": "unknown role"})
    return found


# --- changing --------------------------------------------------------------------------------------------------------
def create(
    session: Session,
    *,
    username: str,
    password_hash: str,
    organization_id: int | None,
    roles: list[Role],
    now: float,
) -> User:
    if session.scalar(select(User.id).where(User.username == username)) is not None:
        raise AlreadyExists(f"There is a user {username!r} already.", fields={"/username": "taken"})
    if organization_id is not None:
        organizations.organization(session, organization_id)
    made = User(
        username=username, password_hash=password_hash, organization_id=organization_id, roles=roles, created_at=now
    )
    session.add(made)
    session.flush()
    return made


def create_first_administrator(session: Session, code: str, username: str, password_hash: str, now: float) -> User:
    """:raises NotFound: the code is wrong, used or too old."""
    if not tokens.use_one_time_code(session, tokens.FIRST_ADMINISTRATOR, code, now):
        raise NotFound(
            "This code is not valid (any more).", hint="`vserver start` prints a new one as long as nobody administers."
        )
    if not tokens.needs_first_administrator(session):
        raise AlreadyExists("This hub has an administrator already.")
    roles = roles_named(session, (BuiltIn.ADMINISTRATOR.value,))
    return create(session, username=username, password_hash=password_hash, organization_id=None, roles=roles, now=now)


def change(session: Session, found: User, *, roles: list[Role] | None, enabled: bool | None) -> User:
    """Change roles or switch a user on or off; switching off ends every token."""
    if roles is not None:
        found.roles = roles
    if enabled is not None:
        found.enabled = enabled
        if not enabled:
            tokens.revoke_all(session, user_id=found.id)
    session.flush()
    _check_administered(session)
    return found


def delete(session: Session, found: User) -> None:
    session.delete(found)
    session.flush()
    _check_administered(session)


def set_password(session: Session, found: User, password_hash: str, *, keep_family: str | None) -> None:
    """Every other log-in of this user ends."""
    found.password_hash = password_hash
    found.failed_logins, found.locked_until = 0, 0.0
    tokens.revoke_all(session, user_id=found.id, but=keep_family)


def _check_administered(session: Session) -> None:
    administrators = (
        select(User.id)
        .join(UserRole, UserRole.user_id == User.id)
        .join(Role, Role.id == UserRole.role_id)
        .where(Role.permissions == authz.role_word(BuiltIn.ADMINISTRATOR), User.enabled.is_(True))
    )
    if session.execute(administrators.limit(1)).first() is None:
        raise LastAdministrator()


# --- logging in ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Claimed:
    """What is known of somebody who says a user name, before the password is checked."""

    user_id: int | None
    password_hash: str | None
    locked_for_s: float


def claimed(session: Session, username: str, now: float) -> Claimed:
    row = session.execute(
        select(User.id, User.password_hash, User.locked_until).where(User.username == username, User.enabled.is_(True))
    ).one_or_none()
    if row is None:
        return Claimed(None, None, 0.0)
    return Claimed(row.id, row.password_hash, max(0.0, row.locked_until - now))


def login_failed(session: Session, user_id: int, now: float) -> None:
    """Count a wrong password; from the fifth on each locks the user for twice as long as the one before."""
    failures = session.scalar(select(User.failed_logins).where(User.id == user_id).with_for_update()) or 0
    failures += 1
    lock_s = 0.0 if failures < FREE_FAILURES else min(LONGEST_LOCK_S, FIRST_LOCK_S * 2 ** (failures - FREE_FAILURES))
    _write_failures(session, user_id, failures, now + lock_s if lock_s else 0.0)


def login_succeeded(session: Session, user_id: int) -> None:
    _write_failures(session, user_id, 0, 0.0)


def _write_failures(session: Session, user_id: int, failures: int, locked_until: float) -> None:
    # Not through the ORM: counting failures is not an edit that changes the user's ETag.
    session.execute(
        update(User)
        .where(User.id == user_id)
        .values(failed_logins=failures, locked_until=locked_until)
        .execution_options(synchronize_session=False)
    )
