"""The node's memory: a run's key counts once, and everything else survives the process."""

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.vnode.assignments import assignment
from vnode.journal import Journal, Phase, run_key
from vprotocol.errors import Replayed

NOW = 1_800_000_000.0
EXPIRES = int(NOW) + 1000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node" / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    found = Journal(path)
    yield found
    found.close()


def accept(journal: Journal, key: str = "k", run: int = 1, expires_at: int = EXPIRES) -> None:
    journal.accept(key, assignment(run), f"sandbox-{run}", "c0ffee", NOW + run, expires_at)


def test_an_accepted_run_is_found_with_all_that_going_on_needs(journal: Journal) -> None:
    accept(journal)
    found = journal.find("k")
    assert found is not None
    assert (found.run, found.phase, found.sandbox, found.capability) == (1, Phase.ACCEPTED, "sandbox-1", "c0ffee")
    assert found.assignment == assignment(1)
    assert (found.accepted_at, found.started_at, found.expires_at) == (NOW + 1, None, EXPIRES)


def test_a_key_counts_once_whatever_comes_with_it(journal: Journal) -> None:
    accept(journal)
    with pytest.raises(Replayed):
        accept(journal, run=2)
    found = journal.find("k")
    assert found is not None
    assert found.run == 1


@pytest.mark.parametrize("phase", list(Phase))
def test_a_key_is_used_in_every_phase(journal: Journal, phase: Phase) -> None:
    accept(journal)
    journal.mark("k", phase)
    with pytest.raises(Replayed):
        accept(journal)


def test_of_many_who_try_at_once_one_is_accepted(journal: Journal) -> None:
    def attempt(run: int) -> bool:
        try:
            accept(journal, run=run)
        except Replayed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(1, 25))) == 1


@pytest.mark.parametrize("part", range(5))
def test_a_key_differs_when_any_part_of_it_does(part: int) -> None:
    usual = ["plan", "part[0]", "organization", 0, 1]
    other = [*usual]
    other[part] = 7 if isinstance(usual[part], int) else "other"
    assert run_key(*usual) != run_key(*other)  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", [Phase.ACCEPTED, Phase.STARTED, Phase.SEALED])
def test_what_was_not_acknowledged_is_unfinished_after_a_crash(path: Path, phase: Phase) -> None:
    crashed = Journal(path)  # and never closed: every method is durable on its own
    accept(crashed)
    crashed.mark("k", phase, started_at=NOW + 2 if phase is Phase.STARTED else None)
    restarted = Journal(path)
    (found,) = restarted.unfinished()
    assert (found.key, found.phase) == ("k", phase)
    assert found.started_at == (NOW + 2 if phase is Phase.STARTED else None)
    with pytest.raises(Replayed):
        accept(restarted)
    restarted.close()
    crashed.close()


def test_an_ended_run_is_finished_and_still_remembered(journal: Journal) -> None:
    accept(journal)
    journal.mark("k", Phase.ENDED)
    assert journal.unfinished() == []
    found = journal.find("k")
    assert found is not None
    assert found.phase is Phase.ENDED


def test_unfinished_runs_come_oldest_first(journal: Journal) -> None:
    for run in (3, 1, 2):
        accept(journal, f"k{run}", run)
    assert [entry.run for entry in journal.unfinished()] == [1, 2, 3]


def test_the_start_is_kept_when_the_phase_goes_on(journal: Journal) -> None:
    accept(journal)
    journal.mark("k", Phase.STARTED, started_at=NOW)
    journal.mark("k", Phase.SEALED)
    found = journal.find("k")
    assert found is not None
    assert found.started_at == NOW


def test_a_key_is_forgotten_only_when_its_plan_has_expired_and_its_run_ended(journal: Journal) -> None:
    accept(journal, "ended", 1)
    accept(journal, "under way", 2)
    accept(journal, "long plan", 3, expires_at=EXPIRES + 10**6)
    journal.mark("ended", Phase.ENDED)
    journal.mark("long plan", Phase.ENDED)
    assert journal.forget_expired(EXPIRES + 3599) == 0
    assert journal.forget_expired(EXPIRES + 3601) == 1
    assert journal.find("ended") is None
    assert journal.find("under way") is not None
    with pytest.raises(Replayed):
        accept(journal, "long plan")


def test_a_delivery_with_fresh_bytes_replaces_the_old_ones(journal: Journal) -> None:
    accept(journal)
    journal.renew_token("k", assignment(1, lease_token="newer"))
    found = journal.find("k")
    assert found is not None
    assert found.assignment.lease_token == "newer"


def test_the_same_request_gets_the_same_counter(journal: Journal) -> None:
    first = journal.reserve_subtask("k", "request 1")
    second = journal.reserve_subtask("k", "request 2")
    again = journal.reserve_subtask("k", "request 1")
    other_parent = journal.reserve_subtask("l", "request 1")
    assert [one.counter for one in (first, second, again, other_parent)] == [1, 2, 1, 1]


def test_only_acknowledged_subtasks_are_listed(journal: Journal) -> None:
    reserved = journal.reserve_subtask("k", "request 1")
    assert journal.subtasks("k") == []
    journal.record_subtask("k", reserved.counter, 77, {"body": "signed"})
    (found,) = journal.subtasks("k")
    assert (found.task, found.statement) == (77, {"body": "signed"})


def test_a_counter_that_was_sent_is_never_given_back(journal: Journal) -> None:
    sent = journal.reserve_subtask("k", "sent")
    journal.record_subtask("k", sent.counter, 77, {})
    journal.release_subtask("k", sent.counter)
    refused = journal.reserve_subtask("k", "refused")
    journal.release_subtask("k", refused.counter)
    assert journal.reserve_subtask("k", "next").counter == 2


def test_subtasks_go_with_their_parent(journal: Journal) -> None:
    accept(journal)
    journal.record_subtask("k", journal.reserve_subtask("k", "r").counter, 1, {})
    journal.mark("k", Phase.ENDED)
    journal.forget_expired(EXPIRES + 10**6)
    assert journal.subtasks("k") == []


def test_a_job_is_open_from_its_first_run_until_it_is_closed(journal: Journal) -> None:
    accept(journal, "k", 1)
    accept(journal, "l", 2)
    assert journal.open_jobs() == ("0a" * 16,)
    journal.close_job("0a" * 16)
    journal.close_job("0a" * 16)
    assert journal.open_jobs() == ()


def test_nobody_else_reads_the_file(journal: Journal, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
