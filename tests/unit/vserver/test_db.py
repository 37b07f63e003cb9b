"""Reads side by side, writes one after the other, and nothing told before it is true."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from vprotocol.errors import ConfigInvalid, Unavailable
from vserver import migrations
from vserver.db import Database, after_commit
from vserver.organizations.model import Organization

THREADS, EACH = 8, 25


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}", durable=False)
    migrations.migrate(database)
    yield database
    database.dispose()


def add(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(Organization(name=name, created_at=0.0))


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Organization)) or 0


def test_eight_threads_write_and_read_and_none_is_locked_out(database: Database) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(EACH):
                add(database, f"{number}-{step}")
                count(database)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert count(database) == THREADS * EACH


def test_another_process_that_writes_is_waited_for(database: Database, tmp_path: Path) -> None:
    # What another process is for SQLite: a second engine, which shares no lock with the first.
    other = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}", durable=False)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with other.write() as session:
            session.add(Organization(name="other", created_at=0.0))
            session.flush()
            inside.set()
            go_on.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    writer = threading.Thread(target=add, args=(database, "mine"))
    writer.start()
    assert count(database) == 0  # readers are not held up by either
    go_on.set()
    holder.join(10)
    writer.join(10)
    assert count(database) == 2
    other.dispose()


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.add(Organization(name="a", created_at=0.0))
        session.flush()
        raise ZeroDivisionError
    assert count(database) == 0
    add(database, "b")


def test_listeners_are_told_after_the_commit_and_never_of_a_rollback(database: Database) -> None:
    told: list[int] = []
    with database.write() as session:
        session.add(Organization(name="a", created_at=0.0))
        after_commit(session, lambda: told.append(count(database)))
        session.flush()
        assert told == []
    assert told == [1]
    with pytest.raises(ZeroDivisionError), database.write() as session:
        after_commit(session, lambda: told.append(-1))
        raise ZeroDivisionError
    assert told == [1]


def test_a_reader_that_changes_something_is_a_mistake_of_ours(database: Database) -> None:
    with pytest.raises(RuntimeError, match="opened for reading"), database.read() as session:
        session.add(Organization(name="a", created_at=0.0))
        session.flush()


def test_a_write_inside_a_write_says_so_instead_of_waiting_for_itself(database: Database) -> None:
    with pytest.raises(RuntimeError, match="wait for itself"), database.write(), database.write():
        pass
    add(database, "a")


def test_a_write_that_gets_no_turn_in_time_is_unavailable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite'}", busy_timeout_s=0.01, durable=False)
    migrations.migrate(database)
    inside, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            inside.set()
            go_on.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    with pytest.raises(Unavailable):
        add(database, "a")
    go_on.set()
    holder.join(10)
    database.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "no url at all", "nonsense://x"])
def test_a_url_that_cannot_be_used_is_a_mistake_in_the_configuration(url: str) -> None:
    with pytest.raises(ConfigInvalid):
        Database(url)


def test_a_bad_url_is_not_repeated_with_its_password() -> None:
    with pytest.raises(ConfigInvalid) as error:
        Database("postgresql//vestal:hunter2@db/vestal")
    assert "hunter2" not in str(error.value)
