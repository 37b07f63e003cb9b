"""The one decision: every role, every permission, as seen from every distance."""

import pytest

from vprotocol.errors import Forbidden
from vprotocol.roles import ROLE_PERMISSIONS, Action, Resource, Role, Scope
from vserver import authz
from vserver.authz import Kind, Principal, Target

MINE, OURS, SHARED, FOREIGN = 7, 1, 10, 2


def principal(role: Role, kind: Kind = Kind.USER) -> Principal:
    return Principal(kind, MINE, "somebody", OURS, frozenset({SHARED}), authz.role_word(role), "family")


TARGETS = {
    Scope.OWN: Target(frozenset({OURS}), frozenset({SHARED}), frozenset({(Kind.USER, MINE), (Kind.NODE, MINE)})),
    Scope.ORGANIZATION: Target(frozenset({OURS}), frozenset({SHARED})),
    Scope.COLLABORATION: Target(frozenset({FOREIGN}), frozenset({SHARED, 11})),
    Scope.GLOBAL: Target(frozenset({FOREIGN}), frozenset({11}), frozenset({(Kind.USER, 8)})),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("distance", Scope)
def test_a_permission_reaches_as_far_as_its_scope(role: Role, distance: Scope) -> None:
    who = principal(role, Kind.NODE if role is Role.NODE else Kind.USER)
    for resource in Resource:
        for action in Action:
            held = [authz.WIDTH[s] for r, a, s in ROLE_PERMISSIONS[role] if (r, a) == (resource, action)]
            allowed = bool(held) and max(held) >= authz.WIDTH[distance]
            lacking = authz.missing(who, resource, action, TARGETS[distance])
            assert (lacking is None) == allowed
            assert allowed or lacking == (resource, action, distance)


@pytest.mark.parametrize(
    ("role", "what", "distance", "allowed"),
    [
        (Role.ADMINISTRATOR, (Resource.COLLABORATION, Action.DELETE), Scope.GLOBAL, True),
        (Role.ORGANIZATION_ADMIN, (Resource.USER, Action.CREATE), Scope.ORGANIZATION, True),
        (Role.ORGANIZATION_ADMIN, (Resource.USER, Action.CREATE), Scope.COLLABORATION, False),
        (Role.ORGANIZATION_ADMIN, (Resource.COLLABORATION, Action.EDIT), Scope.COLLABORATION, False),
        (Role.COLLABORATION_ADMIN, (Resource.COLLABORATION, Action.EDIT), Scope.COLLABORATION, True),
        (Role.COLLABORATION_ADMIN, (Resource.COLLABORATION, Action.EDIT), Scope.GLOBAL, False),
        (Role.RESEARCHER, (Resource.JOB, Action.CREATE), Scope.COLLABORATION, True),
        (Role.RESEARCHER, (Resource.JOB, Action.DELETE), Scope.OWN, True),
        (Role.RESEARCHER, (Resource.JOB, Action.DELETE), Scope.ORGANIZATION, False),
        (Role.VIEWER, (Resource.JOB, Action.VIEW), Scope.COLLABORATION, True),
        (Role.VIEWER, (Resource.JOB, Action.CREATE), Scope.OWN, False),
        (Role.NODE, (Resource.RUN, Action.EDIT), Scope.OWN, True),
        (Role.NODE, (Resource.RUN, Action.EDIT), Scope.ORGANIZATION, False),
        (Role.NODE, (Resource.USER, Action.VIEW), Scope.OWN, False),
    ],
)
def test_what_the_roles_are_for(role: Role, what: tuple[Resource, Action], distance: Scope, allowed: bool) -> None:
    who = principal(role, Kind.NODE if role is Role.NODE else Kind.USER)
    assert (authz.missing(who, *what, TARGETS[distance]) is None) == allowed


def test_a_node_speaks_for_its_organization_and_a_user_does_not() -> None:
    organization = Target(organizations=frozenset({OURS}), owners=frozenset({(Kind.ORGANIZATION, OURS)}))
    edit = (Resource.ORGANIZATION, Action.EDIT)
    assert authz.missing(principal(Role.NODE, Kind.NODE), *edit, organization) is None
    assert authz.missing(principal(Role.RESEARCHER), *edit, organization) is not None
    foreign = Target(organizations=frozenset({FOREIGN}), owners=frozenset({(Kind.ORGANIZATION, FOREIGN)}))
    assert authz.missing(principal(Role.NODE, Kind.NODE), *edit, foreign) == (*edit, Scope.GLOBAL)


def test_nobody_without_an_organization_is_at_home_where_there_is_none() -> None:
    lost = Principal(Kind.USER, MINE, "lost", None, frozenset(), authz.role_word(Role.ORGANIZATION_ADMIN), "f")
    assert authz.narrowest_scope(lost, Target()) is Scope.GLOBAL


def test_a_denial_names_the_permission() -> None:
    with pytest.raises(Forbidden, match="node:delete:collaboration") as denied:
        authz.require(principal(Role.RESEARCHER), Resource.NODE, Action.DELETE, TARGETS[Scope.COLLABORATION])
    assert denied.value.fields == {"permission": "node:delete:collaboration"}


def test_roles_add_up() -> None:
    reach = authz.reach_of("@Viewer job:create:own @Organization_admin job:create:collaboration")
    assert reach[Resource.JOB, Action.CREATE] is Scope.COLLABORATION
    assert reach[Resource.NODE, Action.CREATE] is Scope.ORGANIZATION


def test_one_hands_out_at_most_what_one_holds() -> None:
    boss = principal(Role.ORGANIZATION_ADMIN)
    authz.require_grantable(boss, authz.role_word(Role.VIEWER))
    with pytest.raises(Forbidden):
        authz.require_grantable(boss, authz.role_word(Role.COLLABORATION_ADMIN))
    with pytest.raises(Forbidden):
        authz.require_grantable(boss, "job:view:global")
