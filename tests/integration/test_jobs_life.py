"""Submit, sync, start, result, read: the life of jobs over the real application."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.federation import Edge, Federation, Refused, Step, b64
from vruntime.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def federation(tmp_path: Path, clock: ManualClock) -> Iterator[Federation]:
    yield Federation(tmp_path, clock)


def test_a_job_goes_from_submission_to_its_sealed_result(federation: Federation) -> None:
    draft = federation.simple()
    job = federation.submit(draft)
    assert job["state"] == "queued" and job["counts"] == {"queued": 1}
    node = federation.node()
    (assignment,) = node.claim()
    assert assignment["plan"] == draft.plan.signed.to_wire()
    assert assignment["order"]["inline"] == b64(draft.orders[0])
    assert federation.person().get(f"/job/{job['id']}")["state"] == "leased"
    node.start(assignment)
    assert federation.person().get(f"/job/{job['id']}")["state"] == "running"
    assert node.finish(assignment) == {"id": assignment["run"], "state": "completed", "superseded": False}
    done = federation.person().get(f"/job/{job['id']}", include="runs,payloads,plan")
    assert done["state"] == "completed" and done["finished_at"] is not None
    assert done["plan"] == draft.plan.signed.to_wire()
    (run,) = done["runs"]
    assert run["receipt"] is not None
    assert run["outputs"][0]["payload"]["inline"]
