"""A capability is worth something at this node, from its own sandbox, until its run ends."""

import base64
import json
from typing import Any

import pytest

from proxy.desk import Caller
from tests.unit.vprotocol.world import plan
from vnode.gate import CapabilityGate, new_capability, token_file
from vprotocol.errors import NotAuthenticated

MEMBERS = plan().plan.organizations


def caller(**changes: Any) -> Caller:
    fields: dict[str, Any] = {
        "key": "key", "organization": MEMBERS[0], "members": MEMBERS, "collaboration_id": 3, "node_id": 4,
        "task_id": 5, "run_id": 6, "image": "stats", "labels": ("default",),
    }  # fmt: skip
    return Caller(**{**fields, **changes})


@pytest.fixture
def gate() -> CapabilityGate:
    return CapabilityGate()


@pytest.fixture
def capability() -> str:
    return new_capability()


def token(capability: str, of: Caller | None = None) -> str:
    return token_file(of or caller(), capability).decode()


def test_the_tools_read_who_they_are_in_the_tokens_second_part(capability: str) -> None:
    second = token(capability).split(".")[1]
    subject = json.loads(base64.urlsafe_b64decode(second + "=" * (-len(second) % 4)))["sub"]
    assert subject == {
        "client_type": "container", "node_id": 4, "organization_id": 1, "collaboration_id": 3, "study_id": None,
        "store_id": None, "task_id": 5, "image": "stats", "databases": [{"label": "default"}],
    }  # fmt: skip


def test_an_open_capability_admits(gate: CapabilityGate, capability: str) -> None:
    gate.open(capability, caller())
    assert gate.admit(token(capability), "10.0.0.3") == caller()


def test_from_its_own_sandbox_only(gate: CapabilityGate, capability: str) -> None:
    gate.open(capability, caller())
    gate.bind(capability, "10.0.0.3")
    assert gate.admit(token(capability), "10.0.0.3").run_id == 6
    for elsewhere in ("10.0.0.4", "", None):
        with pytest.raises(NotAuthenticated):
            gate.admit(token(capability), elsewhere)


def test_where_there_are_no_addresses_none_is_asked_for(gate: CapabilityGate, capability: str) -> None:
    gate.open(capability, caller())
    gate.bind(capability, None)
    assert gate.admit(token(capability), "127.0.0.1").run_id == 6


def test_until_its_run_ends(gate: CapabilityGate, capability: str) -> None:
    gate.open(capability, caller())
    gate.close(capability)
    gate.close(capability)
    with pytest.raises(NotAuthenticated):
        gate.admit(token(capability), None)


def test_the_readable_part_of_a_token_decides_nothing(gate: CapabilityGate, capability: str) -> None:
    gate.open(capability, caller())
    forged = token(capability, caller(run_id=99, labels=("secret",)))
    assert gate.admit(forged, None) == caller()


@pytest.mark.parametrize("forged", ["", "a.b.", "a.b.c", "no-dots", "..", "a.b." + "A" * 43])
def test_nothing_else_admits(gate: CapabilityGate, capability: str, forged: str) -> None:
    gate.open(capability, caller())
    with pytest.raises(NotAuthenticated):
        gate.admit(forged, None)


def test_one_run_is_not_another(gate: CapabilityGate) -> None:
    mine, theirs = new_capability(), new_capability()
    assert mine != theirs
    gate.open(mine, caller(run_id=1))
    gate.open(theirs, caller(run_id=2))
    gate.close(theirs)
    assert gate.admit(token(mine), None).run_id == 1


def test_binding_what_has_ended_brings_nothing_back(gate: CapabilityGate, capability: str) -> None:
    gate.bind(capability, "10.0.0.3")
    with pytest.raises(NotAuthenticated):
        gate.admit(token(capability), "10.0.0.3")
