"""Who may do what: one pure decision over the table of `vprotocol/roles.py`.

A thing lies in a scope as seen by a caller: the caller's own, of the caller's organization, of one of the caller's
collaborations, or anywhere. The narrowest such scope is the permission that the caller needs; a wider one includes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from vprotocol.errors import Forbidden
from vprotocol.roles import ROLE_PERMISSIONS, Action, Permission, Resource, Role, Scope, parse_permission, spelled

WIDTH: dict[Scope, int] = {scope: width for width, scope in enumerate(Scope)}
Reach = Mapping[tuple[Resource, Action], Scope]  # the widest scope held for each pair


class Kind(StrEnum):
    USER = "user"
    NODE = "node"
    ORGANIZATION = "organization"


Identity = tuple[Kind, int]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and all that decisions about the caller need."""

    kind: Kind  # USER or NODE
    id: int
    name: str
    organization_id: int | None
    collaboration_ids: frozenset[int]
    permissions: str  # as stored, see `reach_of`
    token_family: str

    @property
    def reach(self) -> Reach:
        return reach_of(self.permissions)

    @property
    def identities(self) -> frozenset[Identity]:
        """What "own" means: a user itself; a node itself and the organization that it speaks for."""
        mine = {(self.kind, self.id)}
        if self.kind is Kind.NODE and self.organization_id is not None:
            mine.add((Kind.ORGANIZATION, self.organization_id))
        return frozenset(mine)

    @property
    def label(self) -> str:
        return f"{self.kind.value}:{self.id}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the thing that is acted on belongs."""

    organizations: frozenset[int] = field(default_factory=frozenset)
    collaborations: frozenset[int] = field(default_factory=frozenset)
    owners: frozenset[Identity] = field(default_factory=frozenset)


@lru_cache(maxsize=1024)
def reach_of(permissions: str) -> Reach:
    """Words, separated by spaces: `@Name` (underscores for spaces) is a built-in role, else `resource:action:scope`."""
    reach: dict[tuple[Resource, Action], Scope] = {}
    for word in permissions.split():
        for resource, action, scope in _permissions_of(word):
            held = reach.get((resource, action))
            if held is None or WIDTH[scope] > WIDTH[held]:
                reach[resource, action] = scope
    return reach


def _permissions_of(word: str) -> Iterable[Permission]:
    if word.startswith("@"):
        return ROLE_PERMISSIONS[Role(word[1:].replace("_", " "))]
    return (parse_permission(word),)


def role_word(role: Role) -> str:
    """How a built-in role is stored, so that its permissions follow the code when Vestal is upgraded."""
    return "@" + role.value.replace(" ", "_")


def narrowest_scope(principal: Principal, target: Target) -> Scope:
    """The narrowest scope in which `target` lies for this caller."""
    if target.owners & principal.identities:
        return Scope.OWN
    if principal.organization_id in target.organizations:
        return Scope.ORGANIZATION
    if target.collaborations & principal.collaboration_ids:
        return Scope.COLLABORATION
    return Scope.GLOBAL


def missing(principal: Principal, resource: Resource, action: Action, target: Target) -> Permission | None:
    """The permission that the caller lacks, or None: the caller may."""
    needed = narrowest_scope(principal, target)
    held = principal.reach.get((resource, action))
    if held is not None and WIDTH[held] >= WIDTH[needed]:
        return None
    return (resource, action, needed)


def require(principal: Principal, resource: Resource, action: Action, target: Target) -> None:
    """:raises Forbidden: names the missing permission."""
    lacking = missing(principal, resource, action, target)
    if lacking is not None:
        raise _denied(lacking)


def require_some(principal: Principal, resource: Resource, action: Action) -> Scope:
    """The widest scope in which the caller may do this at all.

    :raises Forbidden: in none.
    """
    held = principal.reach.get((resource, action))
    if held is None:
        raise _denied((resource, action, Scope.OWN))
    return held


def require_grantable(principal: Principal, permissions: str) -> None:
    """Nobody hands out more than they hold.

    :raises Forbidden: names what the caller does not hold.
    """
    for (resource, action), scope in reach_of(permissions).items():
        held = principal.reach.get((resource, action))
        if held is None or WIDTH[held] < WIDTH[scope]:
            raise _denied((resource, action, scope))


def _denied(permission: Permission) -> Forbidden:
    name = spelled(permission)
    return Forbidden(f"This needs the permission {name}, which you do not have.", fields={"permission": name})
