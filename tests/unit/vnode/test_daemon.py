"""The node's process: what it takes, what it keeps in hand, and how it ends."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evilhub.evil import WAIT_S, EvilHub, Raw
from tests.federation import Federation
from tests.unit.vnode.assignments import assignment
from vnode.daemon import Daemon, Surroundings
from vnode.executors.scripted import Sandbox, ScriptedExecutor
from vnode.journal import Phase
from vprotocol.errors import IdentityChanged, Unavailable, VestalError
from vprotocol.messages.sync import Assignment


class Gate:
    """An algorithm that ends when it may."""

    def __init__(self) -> None:
        self.running, self.may_end, self.executions = threading.Event(), threading.Event(), 0

    def __call__(self, sandbox: Sandbox) -> int:
        self.executions += 1
        self.running.set()
        if not self.may_end.wait(WAIT_S) or sandbox.killed.is_set():
            return 9
        sandbox.write_output(b"1")
        return 0


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.may_end.set()


@pytest.fixture
def evil() -> EvilHub:
    return EvilHub()


@pytest.fixture
def world(tmp_path: Path, gate: Gate, evil: EvilHub) -> Iterator[Federation]:
    node = {"drain": 1, "max_runs": 2}
    with Federation(tmp_path, {"gate": gate}, size=1, adapter=evil, node=node) as made:
        yield made


def ask(world: Federation) -> Any:
    return world.client.run(world.image("gate"), "m")


def test_a_run_that_outlasts_the_drain_is_found_again_and_not_reported_as_failed(world: Federation, gate: Gate) -> None:
    job = ask(world)
    assert gate.running.wait(WAIT_S)
    world.nodes[0].stop()
    assert world.nodes[0].outbox.waiting() == []
    assert len(world.executors[0].find({})) == 1
    world.restart(0)
    gate.may_end.set()
    assert job.result(timeout_s=WAIT_S) == 1
    assert gate.executions == 1


def test_a_stopped_node_writes_nothing_more(world: Federation, gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    ask(world)
    assert gate.running.wait(WAIT_S)
    node = world.nodes[0]
    threads = [*node._running]
    node.stop()
    gate.may_end.set()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert not [record for record in caplog.records if "mistake" in record.getMessage()]
    world.restart(0)  # for the end of the fixture


def test_a_node_that_never_started_can_be_stopped(world: Federation, tmp_path: Path) -> None:
    around = Surroundings(tmp_path / "another", ScriptedExecutor({}), http_session=world.session())
    Daemon(world.settings[0], around).stop()


def test_a_node_whose_start_failed_can_be_stopped(world: Federation, tmp_path: Path) -> None:
    around = Surroundings(tmp_path / "another", ScriptedExecutor({}), http_session=world.session())
    stranger = Daemon(world.settings[0], around)
    with pytest.raises(IdentityChanged):
        stranger.start()  # it made keys of its own; the hub knows this organization by others
    stranger.stop()


def test_a_result_that_the_hub_does_not_take_keeps_its_lease_and_frees_its_place(
    world: Federation, gate: Gate, evil: EvilHub
) -> None:
    node = world.nodes[0]
    gate.may_end.set()
    with evil.telling(0, "/result$", lambda _: Raw(b'{"error":{"code":"forbidden"}}', "403 Forbidden")):
        calls = len(evil.seen)
        job = ask(world)
        evil.await_call(lambda call: call[2].endswith("/result"), calls)
        threads = [*node._running]
        for thread in threads:
            thread.join(WAIT_S)
        (held,) = node.outbox.waiting()
        lease = node.leases.get(held.run)
        assert lease is not None and lease.resting
        assert [one.run for one in node.leases.listed()] == [held.run]
        assert node._room().any == 2
        node._deliver_waiting()
        assert node.outbox.waiting() and node.leases.get(held.run) is lease
    node._deliver_waiting()
    assert node.outbox.waiting() == [] and node.leases.get(held.run) is None
    assert job.result(timeout_s=WAIT_S) == 1 and gate.executions == 1


def test_more_than_twice_its_places_are_not_taken(world: Federation) -> None:
    node = world.nodes[0]
    for run in range(100, 104):
        node.leases.take(assignment(run))
    node._offered(assignment(200))
    assert node.leases.get(200) is None
    node.leases.take(assignment(100, lease_token="newer"))
    assert len(node.leases) == 4


def test_an_assignment_that_cannot_be_read_is_refused_in_the_audit(world: Federation, tmp_path: Path) -> None:
    node = world.nodes[0]
    broken = assignment(300).to_wire()
    broken["plan"]["type"] = "vestal/plan/v9"
    given = Assignment.from_wire(broken)
    lease = node.leases.take(given)
    assert lease is not None
    node._run(given, lease)
    assert node.leases.get(300) is None
    assert '"decision":"refused"' in (world.folder / "node0" / "audit.jsonl").read_text()


def test_a_thread_that_meets_a_mistake_gives_its_place_back(world: Federation) -> None:
    node = world.nodes[0]

    def broken(*_: Any) -> None:
        raise RuntimeError("a bug")

    node.runner.run = broken  # type: ignore[method-assign]
    given = assignment(400)
    lease = node.leases.take(given)
    assert lease is not None
    node._run(given, lease)
    assert node.leases.get(400) is None and len(node.leases) == 0


def test_only_what_was_begun_under_this_number_is_gone_on_with(world: Federation) -> None:
    node = world.nodes[0]
    given = assignment(500)
    key = _key(given)
    node.journal.accept(key, given, "s", "00", 0.0, 2**40)
    assert node._begun(given) is not None
    assert node._begun(assignment(501)) is None
    node.journal.mark(key, Phase.ENDED)
    assert node._begun(given) is None


def _key(given: Assignment) -> str:
    from vnode.runner import key_of

    return key_of(given)


def test_one_duty_that_fails_does_not_keep_the_others(world: Federation) -> None:
    node = world.nodes[0]
    done: list[str] = []
    rounds = iter([False, True])

    class Clock:
        def wait(self, _event: threading.Event, _timeout_s: float) -> bool:
            return next(rounds)

    def failing(error: Exception) -> Any:
        def duty() -> None:
            done.append(type(error).__name__)
            raise error

        return duty

    node._clock = Clock()  # type: ignore[assignment]
    node._deliver_waiting = failing(Unavailable())  # type: ignore[method-assign]
    node._notice_new_entries = failing(OSError())  # type: ignore[method-assign]
    node._renew_head = failing(VestalError())  # type: ignore[method-assign]
    node._forget = lambda: done.append("forgot")  # type: ignore[method-assign]
    node._keep_house()
    assert done == ["Unavailable", "OSError", "VestalError", "forgot"]
    node._clock = world.hub.clock
