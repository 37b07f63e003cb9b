"""The container contract of vantage6 4.x, as pure functions between its JSON and plain values.

Source: the requests and answers of `vantage6-algorithm-tools` 4.0 to 4.15, as summarised in docs/container-contract.md.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from proxy.desk import Caller, ChildRun, ChildTask, JsonObject, SubtaskRequest
from vprotocol.errors import BadRequest, NotFound
from vprotocol.plan import PlanOrganization
from vprotocol.states import RunState

_STATUS: Mapping[RunState, str] = {
    RunState.BLOCKED: "pending",
    RunState.QUEUED: "pending",
    RunState.LEASED: "initializing",
    RunState.HELD: "initializing",
    RunState.RUNNING: "active",
    RunState.COMPLETED: "completed",
    RunState.FAILED: "failed",
    RunState.REFUSED: "not allowed",
    RunState.CANCELLED: "killed by user",
    RunState.SKIPPED: "failed",
}


def status(state: RunState) -> str:
    """The word that the tools know for a state."""
    return _STATUS[state]


def page(items: Sequence[JsonObject]) -> JsonObject:
    """A list is one page without `links.next`: tools before 4.14 would ask for ever otherwise."""
    return {"data": list(items), "links": {}}


def subtask_request(body: Any, request_id: str) -> SubtaskRequest:
    """:raises BadRequest: not what the tools send; the sentence says which field."""
    if not isinstance(body, dict):
        raise BadRequest("a task is a JSON object")
    organizations = body.get("organizations")
    if not isinstance(organizations, list) or not organizations:
        raise BadRequest("`organizations` is a list of {id, input} with at least one item")
    return SubtaskRequest(
        image=_text(body, "image"),
        name=_text(body, "name") or "subtask",
        orders=tuple(_order(item) for item in organizations),
        labels=_labels(body.get("databases")),
        request_id=request_id,
    )


def organization(found: PlanOrganization) -> JsonObject:
    return {"id": found.id, "name": found.name, "domain": "", "country": "", "public_key": "", "links": {}}


def collaboration(caller: Caller) -> JsonObject:
    return {"id": caller.collaboration_id, "name": "", "encrypted": True, "organizations": _members(caller)}


def node(caller: Caller) -> JsonObject:
    return {"id": caller.node_id, "name": "", "status": "online", "organization": _link("organization", caller)}


def task(found: ChildTask) -> JsonObject:
    return {
        "id": found.id,
        "name": found.name,
        "image": found.image,
        "status": status(found.state),
        "runs": [_relation("run", run.id) for run in newest_first(found.runs)],
        "results": f"/result?task_id={found.id}",
        "organizations": [run.organization_id for run in newest_first(found.runs)],
    }


def runs(found: ChildTask) -> list[JsonObject]:
    return [run(found.id, item) for item in newest_first(found.runs)]


def run(task_id: int, found: ChildRun) -> JsonObject:
    return {
        "id": found.id,
        "status": status(found.state),
        "organization": _relation("organization", found.organization_id),
        "task": _relation("task", task_id),
        "results": _relation("result", found.id),
        "started_at": _time(found.started_at),
        "finished_at": _time(found.finished_at),
        "log": None,
    }


def results(found: ChildTask) -> list[JsonObject]:
    """Newest run id first: some algorithms zip results by position."""
    return [result(item) for item in newest_first(found.runs)]


def result(found: ChildRun) -> JsonObject:
    content = None if found.result is None else base64.b64encode(found.result).decode("ascii")
    return {
        "id": found.id,
        "result": content,
        "blob_storage_used": False,
        "organization_id": found.organization_id,
        "run": _relation("run", found.id),
    }


def newest_first(found: Sequence[ChildRun]) -> list[ChildRun]:
    return sorted(found, key=lambda item: item.id, reverse=True)


def percent(body: Any) -> int:
    """:raises BadRequest: not `{"percent": 0..100}`."""
    value = body.get("percent") if isinstance(body, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise BadRequest("progress is {percent: a number from 0 to 100}")
    return int(value)


def member(caller: Caller, organization_id: int) -> PlanOrganization:
    """:raises NotFound: not in the plan; nobody else exists here."""
    found = next((item for item in caller.members if item.id == organization_id), None)
    if found is None:
        raise NotFound(f"the plan knows no organization {organization_id}")
    return found


def _members(caller: Caller) -> list[JsonObject]:
    return [_relation("organization", item.id) for item in caller.members]


def _link(kind: str, caller: Caller) -> JsonObject:
    return _relation(kind, caller.organization.id)


def _relation(kind: str, number: int) -> JsonObject:
    return {"id": number, "link": f"/{kind}/{number}", "methods": ["GET"]}


def _order(item: Any) -> tuple[int, bytes]:
    if not isinstance(item, dict) or isinstance(item.get("id"), bool) or not isinstance(item.get("id"), int):
        raise BadRequest("each of `organizations` has an integer `id`")
    try:
        return item["id"], base64.b64decode(item.get("input") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise BadRequest("`input` is the base64 of the order's JSON") from None


def _labels(databases: Any) -> tuple[str, ...] | None:
    """Labels as the tools write them: a list of texts or of {label}; absent or empty means the caller's own."""
    if not databases:
        return None
    if not isinstance(databases, list):
        raise BadRequest("`databases` is a list")
    labels = [item.get("label") if isinstance(item, dict) else item for item in databases]
    if not all(isinstance(label, str) for label in labels):
        raise BadRequest("each of `databases` is a label, or an object with a `label`")
    return tuple(dict.fromkeys(map(str, labels)))


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"`{name}` is a text")
    return value


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
