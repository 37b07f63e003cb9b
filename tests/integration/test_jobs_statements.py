"""What a request costs the database: statements and commits, counted on the real application."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event

from tests.integration.federation import Federation, Step, delegation
from vprotocol.states import RunState
from vserver.jobs.model import Run


@dataclass
class Cost:
    bound: list[tuple[str, Any]] = field(default_factory=list)  # with their values
    commits: int = 0

    @property
    def statements(self) -> list[str]:
        return [text for text, _ in self.bound]


@contextmanager
def counted(federation: Federation) -> Iterator[Cost]:
    """Statements, and the transactions that wrote something."""
    cost, engine = Cost(), federation.hub.database.engine

    def statement(_connection: Any, _cursor: Any, text: str, values: Any, *_rest: Any) -> None:
        if not text.startswith(("BEGIN", "PRAGMA")):
            cost.bound.append((text, values))

    def commit(_connection: Any) -> None:
        cost.commits += 1

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    try:
        yield cost
    finally:
        event.remove(engine, "before_cursor_execute", statement)
        event.remove(engine, "commit", commit)


@pytest.fixture
def measure(federation: Federation) -> Callable[..., tuple[Any, Cost]]:
    def measured(call: Callable[[], Any]) -> tuple[Any, Cost]:
        with counted(federation) as cost:
            answer = call()
        return answer, cost

    return measured


def test_a_run_costs_few_statements_and_one_commit_a_request(
    federation: Federation, measure: Callable[..., tuple[Any, Cost]], capsys: pytest.CaptureFixture[str]
) -> None:
    person, node = federation.person(), federation.node()
    node.finish(_warm(federation))  # key logs are verified, the node's session is known
    draft = federation.simple()
    _, submit = measure(lambda: person.post("/job", draft.message()))
    (assignment,), sync = measure(lambda: node.claim())
    _, start = measure(lambda: node.start(assignment))
    message = node.result(assignment)
    path = f"/run/{assignment['run']}/result"
    _, result = measure(lambda: node.post(path, message))
    _, repeated = measure(lambda: node.post(path, message))
    _, idle = measure(lambda: node.claim())
    _, read = measure(lambda: person.get(f"/job/{draft.plan.plan.job}", include="runs,payloads"))
    costs = {
        "submit": submit,
        "sync": sync,
        "start": start,
        "result": result,
        "repeated": repeated,
        "idle": idle,
        "read": read,
    }
    with capsys.disabled():
        print("\nstatements:", ", ".join(f"{name} {len(cost.statements)}" for name, cost in costs.items()))
    bounds = {"submit": 14, "sync": 16, "start": 5, "result": 12, "repeated": 2, "idle": 9, "read": 7}
    # PostgreSQL: the lock of the events' order, and that of the jobs of a sync.
    extra = 0 if federation.hub.database.is_sqlite else 2
    for name, most in bounds.items():
        assert len(costs[name].statements) <= most + extra, (name, costs[name].statements)
    for name in ("submit", "sync", "start", "result"):
        assert costs[name].commits == 1, name


def _warm(federation: Federation) -> Any:
    federation.submit(federation.simple())
    return federation.node().claim()[0]


def test_claiming_costs_the_same_however_long_the_queue_is(
    federation: Federation, measure: Callable[..., tuple[Any, Cost]]
) -> None:
    federation.submit(federation.simple())
    with federation.hub.database.write() as session:
        example = session.query(Run).first()
        values = {c.name: getattr(example, c.name) for c in Run.__table__.columns if c.name != "id"}
        session.execute(Run.__table__.insert(), [{**values, "turn_at": values["turn_at"] + n} for n in range(3000)])
    _, cost = measure(lambda: federation.node().claim(want=4))
    assert len(cost.statements) <= 24
    ((statement, values),) = [found for found in cost.bound if "UNION ALL" in found[0]]
    if federation.hub.database.is_sqlite:
        with federation.hub.database.engine.connect() as connection:
            plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, values).all()
        steps = [row[3] for row in plan]
        searches = [step for step in steps if step.startswith("SEARCH")]
        assert searches and all("USING INDEX ix_run_queue" in step for step in searches), steps
        # The few that were found are sorted once; the queue itself is read in its order.
        assert sum("TEMP B-TREE" in step for step in steps) == 1, steps


def test_many_children_do_not_make_their_results_dearer(
    federation: Federation, measure: Callable[..., tuple[Any, Cost]]
) -> None:
    step = Step("central", [0], final=("output",), delegation=delegation(federation, children=50))
    federation.submit(federation.draft([step]))
    node, worker = federation.node(0), federation.node(1)
    (parent,) = node.claim()
    for counter in range(1, 11):
        node.post("/task", node.subtask(parent, federation, [1], counter=counter))
    children = worker.claim(want=10)
    costs = []
    for child in children:
        message = worker.result(child)
        _, cost = measure(lambda run=child["run"], message=message: worker.post(f"/run/{run}/result", message))
        costs.append(len(cost.statements))
    assert max(costs[1:]) == min(costs[1:]) <= 12
    assert federation.person().get("/run", state=RunState.COMPLETED.value)["total"] == 10
