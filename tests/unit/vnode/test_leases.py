"""What this node holds: taken once, renewed by a newer delivery, stopped when the hub says so."""

from tests.unit.vnode.assignments import assignment
from vnode.leases import Leases


def test_a_run_is_taken_once() -> None:
    leases = Leases()
    assert leases.take(assignment(1)) is not None
    assert leases.take(assignment(1)) is None
    assert len(leases) == 1


def test_a_second_delivery_brings_the_newer_token() -> None:
    leases = Leases()
    lease = leases.take(assignment(1))
    leases.take(assignment(1, lease_token="newer"))
    assert [held.token for held in leases.listed()] == ["newer"]
    assert lease is not None
    assert lease.token == "newer"


def test_a_dropped_run_may_be_taken_again() -> None:
    leases = Leases()
    leases.take(assignment(1))
    leases.drop(1)
    leases.drop(1)
    assert (leases.get(1), len(leases)) == (None, 0)
    assert leases.take(assignment(1)) is not None


def test_cancelling_ends_the_sandbox() -> None:
    leases, ended = Leases(), []
    lease = leases.take(assignment(1))
    assert lease is not None
    lease.stop = lambda: ended.append(1)
    leases.cancel(1)
    assert (ended, lease.cancelled.is_set()) == ([1], True)


def test_cancelling_before_there_is_a_sandbox_is_remembered() -> None:
    leases = Leases()
    lease = leases.take(assignment(1))
    leases.cancel(1)
    leases.cancel(99)  # of a run that was never here
    assert lease is not None
    assert lease.cancelled.is_set()


def test_a_sync_reports_token_and_progress() -> None:
    leases = Leases()
    leases.take(assignment(1))
    leases.take(assignment(2))
    leases.progress(2, 50)
    leases.progress(99, 1)
    assert [(held.run, held.token, held.progress) for held in leases.listed()] == [
        (1, "lease of 1", None),
        (2, "lease of 2", 50),
    ]


def test_jobs_are_those_with_a_run_here() -> None:
    leases = Leases()
    leases.take(assignment(1))
    leases.take(assignment(2, job="0b" * 16))
    leases.drop(1)
    assert leases.jobs() == {"0b" * 16}
