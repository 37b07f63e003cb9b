"""Events are written with the change that they tell of, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vserver import (
    app,  # noqa: F401  (all tables)
    migrations,
)
from vserver.authz import Kind, Principal
from vserver.db import Database
from vserver.events import service


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}", durable=False)
    migrations.migrate(made)
    yield made
    made.dispose()


def caller(*collaborations: int, organization_id: int = 1) -> Principal:
    return Principal(Kind.USER, 1, "x", organization_id, frozenset(collaborations), "@Viewer", "")


def kinds(database: Database, principal: Principal, after: int = 0) -> list[str]:
    with database.read() as session:
        return [row.kind for row in service.since(session, principal, after)]


def test_events_come_in_the_order_in_which_they_were_told(database: Database) -> None:
    with database.write() as session:
        for kind in ("run.queued", "run.leased", "run.running"):
            service.append(session, kind, 1.0, collaboration_id=1)
    assert kinds(database, caller(1)) == ["run.queued", "run.leased", "run.running"]
    assert kinds(database, caller(1), after=2) == ["run.running"]


def test_a_change_that_is_rolled_back_tells_nothing(database: Database) -> None:
    with pytest.raises(ValueError), database.write() as session:
        service.append(session, "run.queued", 1.0, collaboration_id=1)
        raise ValueError
    with database.write() as session:
        service.append(session, "run.leased", 1.0, collaboration_id=1)
    assert kinds(database, caller(1)) == ["run.leased"]


def test_a_watcher_sees_its_collaborations_and_nodes_of_their_members_only(database: Database) -> None:
    with database.write() as session:
        service.append(session, "run.queued", 1.0, collaboration_id=1)
        service.append(session, "run.queued", 1.0, collaboration_id=2)
        service.append(session, "node.online", 1.0, node_id=5, organization_id=1)
        service.append(session, "node.online", 1.0, node_id=6, organization_id=9)
    assert kinds(database, caller(1)) == ["run.queued", "node.online"]
    assert kinds(database, caller(organization_id=3)) == []


def test_watchers_wake_after_the_commit_and_never_before(database: Database) -> None:
    woken: list[str] = []
    with database.write() as session:
        service.append(session, "run.queued", 1.0, collaboration_id=1)
        service.wake(session, woken.append)
        assert woken == []
    assert woken == [service.TOPIC]
