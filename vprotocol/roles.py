"""Permissions and built-in roles, as data. `vserver/authz.py` decides with them; nothing else names a permission."""

from enum import StrEnum


class Scope(StrEnum):
    """From narrow to wide; a wider scope includes the narrower ones."""

    OWN = "own"
    ORGANIZATION = "organization"
    COLLABORATION = "collaboration"
    GLOBAL = "global"


class Resource(StrEnum):
    ORGANIZATION = "organization"
    COLLABORATION = "collaboration"
    USER = "user"
    NODE = "node"
    JOB = "job"
    TASK = "task"
    RUN = "run"
    PAYLOAD = "payload"
    EVENT = "event"


class Action(StrEnum):
    VIEW = "view"
    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"


class Role(StrEnum):
    ADMINISTRATOR = "Administrator"
    ORGANIZATION_ADMIN = "Organization admin"
    COLLABORATION_ADMIN = "Collaboration admin"
    RESEARCHER = "Researcher"
    VIEWER = "Viewer"
    NODE = "Node"


Permission = tuple[Resource, Action, Scope]


def spelled(permission: Permission) -> str:
    """`resource:action:scope`, as denials name it."""
    return ":".join(part.value for part in permission)


def parse_permission(text: str) -> Permission:
    """The opposite of `spelled`.

    :raises ValueError: it is not `resource:action:scope`.
    """
    resource, action, scope = text.split(":")
    return Resource(resource), Action(action), Scope(scope)


def _grant(text: str) -> frozenset[Permission]:
    """`job: view create @ collaboration` lines to permissions."""
    granted = set()
    for line in text.strip().splitlines():
        head, _, scope = line.partition("@")
        resource, _, actions = head.partition(":")
        for action in actions.split():
            granted.add((Resource(resource.strip()), Action(action), Scope(scope.strip())))
    return frozenset(granted)


_VIEW_COLLABORATION = """
    organization: view @ collaboration
    collaboration: view @ collaboration
    node: view @ collaboration
    job: view @ collaboration
    task: view @ collaboration
    run: view @ collaboration
    event: view @ collaboration
    user: view @ own
"""

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMINISTRATOR: frozenset((r, a, Scope.GLOBAL) for r in Resource for a in Action),
    Role.ORGANIZATION_ADMIN: _grant(
        _VIEW_COLLABORATION
        + """
        organization: edit @ organization
        user: view create edit delete @ organization
        node: create edit delete @ organization
        job: create edit delete @ organization
        payload: view create @ organization
        event: create @ organization
        """
    ),
    Role.COLLABORATION_ADMIN: _grant(
        _VIEW_COLLABORATION
        + """
        collaboration: edit @ collaboration
        job: create edit delete @ collaboration
        payload: view create @ collaboration
        event: create @ collaboration
        """
    ),
    Role.RESEARCHER: _grant(
        _VIEW_COLLABORATION
        + """
        user: edit @ own
        job: create @ collaboration
        job: edit delete @ own
        payload: view create @ collaboration
        event: create @ collaboration
        """
    ),
    Role.VIEWER: _grant(_VIEW_COLLABORATION),
    Role.NODE: _grant(
        """
        organization: view @ collaboration
        organization: edit @ own
        collaboration: view @ collaboration
        node: view @ collaboration
        node: edit @ own
        job: view @ collaboration
        task: view @ collaboration
        task: create @ own
        run: view @ collaboration
        run: edit @ own
        payload: view create @ collaboration
        event: view create @ collaboration
        """
    ),
}
