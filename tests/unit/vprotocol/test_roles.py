import itertools

import pytest

from vprotocol.roles import ROLE_PERMISSIONS, Action, Resource, Role, Scope, parse_permission, spelled


@pytest.mark.parametrize("permission", list(itertools.product(Resource, Action, Scope)))
def test_a_permission_is_read_as_it_is_spelled(permission):
    assert parse_permission(spelled(permission)) == permission


@pytest.mark.parametrize(
    "text", ["", "job", "job:view", "job:view:own:x", "job:look:own", "JOB:view:own", "job: view:own"]
)
def test_other_texts_are_no_permissions(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_permission(text)


def test_every_role_has_permissions_and_only_the_administrator_global_ones():
    assert set(ROLE_PERMISSIONS) == set(Role)
    for role, granted in ROLE_PERMISSIONS.items():
        assert granted
        assert any(scope is Scope.GLOBAL for _, _, scope in granted) == (role is Role.ADMINISTRATOR)


def test_a_viewer_changes_nothing():
    assert {action for _, action, _ in ROLE_PERMISSIONS[Role.VIEWER]} == {Action.VIEW}


def test_a_node_neither_creates_jobs_nor_touches_users():
    for resource, action, _ in ROLE_PERMISSIONS[Role.NODE]:
        assert resource is not Resource.USER
        assert not (resource is Resource.JOB and action is not Action.VIEW)
