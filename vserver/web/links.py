"""Every path of the API, once, and how an answer links to them.

A relation to one thing is `{"id", "link", "methods"}`; `methods` are the verbs that this caller may use there, so they
come from the same declarations (`Operation.needs`) and the same function (`authz.missing`) that decide a real call.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from urllib.parse import urlencode

from vprotocol.messages import Relation
from vserver import authz
from vserver.authz import Principal, Target
from vserver.web.operation import Operation

PREFIX = "/api/v1"


class Endpoint(StrEnum):
    """Path below `PREFIX`; `id`, `hex32` and `hex64` are the converters of `web/converters.py`."""

    ROOT = ""
    OPENAPI = "/openapi.json"
    HEALTH = "/health"
    READY = "/ready"
    VERSION = "/version"
    METRICS = "/metrics"

    WHOAMI = "/whoami"
    TOKEN = "/token"  # noqa: S105
    TOKEN_USER = "/token/user"  # noqa: S105
    TOKEN_NODE = "/token/node"  # noqa: S105
    TOKEN_REFRESH = "/token/refresh"  # noqa: S105
    USERS = "/user"
    USER_FIRST = "/user/first"
    USER = "/user/<id:user_id>"
    USER_PASSWORD = "/user/<id:user_id>/password"  # noqa: S105
    ROLES = "/role"
    ROLE = "/role/<id:role_id>"

    ORGANIZATIONS = "/organization"
    ORGANIZATION = "/organization/<id:organization_id>"
    ORGANIZATION_PUBLIC_KEY = "/organization/<id:organization_id>/public_key"

    COLLABORATIONS = "/collaboration"
    COLLABORATION = "/collaboration/<id:collaboration_id>"
    COLLABORATION_MEMBER = "/collaboration/<id:collaboration_id>/organization/<id:organization_id>"

    NODES = "/node"
    NODE = "/node/<id:node_id>"
    NODE_API_KEY = "/node/<id:node_id>/api_key"
    NODE_SYNC = "/node/sync"

    JOBS = "/job"
    JOB = "/job/<hex32:job_id>"
    TASKS = "/task"
    TASK = "/task/<id:task_id>"
    RUNS = "/run"
    RUN = "/run/<id:run_id>"
    RUN_START = "/run/<id:run_id>/start"
    RUN_RESULT = "/run/<id:run_id>/result"

    PAYLOADS = "/payload"
    PAYLOAD = "/payload/<hex64:payload_id>"
    PAYLOAD_STATUS = "/payload/<hex64:payload_id>/status"
    PAYLOAD_SEGMENT = "/payload/<hex64:payload_id>/segment/<int:number>"

    EVENTS = "/event"


Operations = Mapping[Endpoint, Mapping[str, Operation]]


def link(endpoint: Endpoint, /, **parameters: object) -> str:
    """The path of an endpoint, its parameters filled in."""
    return _template(endpoint).format(**parameters)


def query(endpoint: Endpoint, /, **filters: object) -> str:
    """The path of a list, filtered."""
    return f"{link(endpoint)}?{urlencode(filters)}" if filters else link(endpoint)


@cache
def _template(endpoint: Endpoint) -> str:
    return PREFIX + re.sub(r"<\w+:(\w+)>", r"{\1}", endpoint.value)


class Links:
    """Makes relations for one caller."""

    def __init__(self, operations: Operations, principal: Principal) -> None:
        self._operations = operations
        self._principal = principal

    def methods(self, endpoint: Endpoint, target: Target) -> tuple[str, ...]:
        """The verbs that the caller may use on `target` at this endpoint."""
        return tuple(
            verb
            for verb, operation in self._operations.get(endpoint, {}).items()
            if operation.needs is None or authz.missing(self._principal, *operation.needs, target) is None
        )

    def relation(self, endpoint: Endpoint, target: Target, /, id: int | str, **parameters: object) -> Relation:
        return Relation(id=id, link=link(endpoint, **parameters), methods=self.methods(endpoint, target))
