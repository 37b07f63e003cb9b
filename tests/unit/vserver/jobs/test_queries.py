"""The states that SQL derives are those that the vocabulary derives, for every mixture of runs."""

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, insert, select
from sqlalchemy.orm import Session

from vprotocol.states import RunState, derived
from vserver import app  # noqa: F401  (all tables)
from vserver.db import Base
from vserver.jobs import queries, schedule
from vserver.jobs.model import Job, Run, Task

MIXTURES = [mix for size in (1, 2, 3) for mix in itertools.combinations(RunState, size)]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """A job and a task for every mixture of states; odd jobs tolerate the first run's failure."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as found:
        common = {"collaboration_id": 1, "organization_id": 1, "generation": 0}
        for number, mix in enumerate(MIXTURES, 1):
            job = {"id": f"{number:032x}", "name": "x", "plan": {}, "plan_hash": "", "images": [], "labels": {}}
            found.execute(
                insert(Job).values(
                    **job, collaboration_id=1, organization_id=1, priority=5, created_at=0.0, expires_at=1.0, version=1
                )
            )
            found.execute(
                insert(Task).values(
                    id=number, job_id=job["id"], path="a[0]", step="a", image="x", statements=[], created_at=0.0
                )
            )
            for at, state in enumerate(mix):
                found.execute(
                    insert(Run).values(
                        **common,
                        job_id=job["id"],
                        task_id=number,
                        fingerprint="",
                        depth=0,
                        order_id="",
                        state=state.value,
                        attempts=1,
                        tolerated=bool(number % 2 and at == 0),
                        precedence=1,
                        turn_at=0.0,
                        ready_at=0.0,
                    )
                )
        yield found


@pytest.mark.parametrize("state", RunState)
def test_tasks(session: Session, state: RunState) -> None:
    found = set(session.scalars(select(Task.id).where(queries.task_is(state))))
    assert found == {number for number, mix in enumerate(MIXTURES, 1) if derived(mix) is state}


@pytest.mark.parametrize("state", RunState)
def test_jobs(session: Session, state: RunState) -> None:
    found = set(session.scalars(select(Job.id).where(queries.job_is(state))))
    expected = {
        f"{number:032x}"
        for number, mix in enumerate(MIXTURES, 1)
        if schedule.job_state((s, 0, bool(number % 2 and at == 0)) for at, s in enumerate(mix)) is state
    }
    assert found == expected
