"""A plan of three organizations as hospital A's node sees it, and settings under which nothing is against it."""

from typing import Any

from tests.unit.vprotocol.world import A, plan, plan_document
from vnode.config import NodeSettings
from vnode.policy import Question
from vprotocol.envelope import Suite
from vprotocol.paths import TaskPath
from vprotocol.plan import Plan, expected_root_run
from vruntime.trust_store import TrustLevel

SOURCE = {"label": "default", "type": "csv", "path": "/data/patients.csv", "collaborations": "any"}


def settings(**changes: Any) -> NodeSettings:
    fields = {
        "name": "hospital-a",
        "hub": {"url": "https://hub.example.org", "api_key": "0" * 16},
        "data_sources": [SOURCE],
        "policy": {},
    }
    return NodeSettings.model_validate({**fields, **changes})


def changed_plan(**changes: Any) -> Plan:
    return plan({**plan_document(), **changes}).plan


def step_changed(step: str, **changes: Any) -> Plan:
    document = plan_document()
    for one in document["steps"]:
        if one["name"] == step:
            one.update(changes)
    return plan(document).plan


def question(
    of: Plan | None = None, *, step: str = "part", suite: Suite = Suite.XWING, **trust: TrustLevel
) -> Question:
    """:param trust: levels by the organization's last letter; all others are verified."""
    of = of or plan().plan
    levels = {one.fingerprint: trust.get(one.name[-1], TrustLevel.VERIFIED) for one in of.organizations}
    return Question(of, expected_root_run(of, TaskPath(step), A.fingerprint), suite, levels)
