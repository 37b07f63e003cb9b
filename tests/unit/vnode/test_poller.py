"""The node's ear stays open, whatever goes wrong with what it hears."""

import threading

import pytest

from tests.unit.vnode.test_checking import assignment
from vnode.leases import Leases, Room
from vnode.poller import Ears, Poller
from vprotocol.errors import Unreachable
from vprotocol.messages.sync import Settings, SyncAnswer, SyncRequest
from vruntime.clock import ManualClock

SETTINGS = Settings(lease_s=60, wait_s=20, inline_limit_bytes=65536)
PATIENCE_S = 10


class ScriptedHub:
    """Gives its answers one after the other, then holds every sync until it is let go."""

    def __init__(self, *answers: SyncAnswer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[SyncRequest] = []
        self.exhausted, self.let_go = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def sync(self, request: SyncRequest) -> SyncAnswer:
        with self._lock:
            self.asked.append(request)
            answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            self.exhausted.set()
            self.let_go.wait(PATIENCE_S)
            return SyncAnswer(settings=SETTINGS, ended_by_newer=True)
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    def __init__(self, *answers: SyncAnswer | Exception, room: Room = Room(4, 0)) -> None:
        self.hub, self.leases, self.room = ScriptedHub(*answers), Leases(), room
        self.taken, self.cancelled, self.ended = [], [], []
        ears = Ears(lambda: self.room, self.take, self.cancel, lambda: ("0a" * 16,), self.ended.append)
        self.poller = Poller(self.hub, self.leases, ears, ManualClock(), tags=("gpu",), version="1")

    def take(self, found) -> None:
        self.taken.append(found.run)
        if found.run == 13:
            raise OSError("a mistake of the node")

    def cancel(self, run: int) -> None:
        self.cancelled.append(run)
        if run == 13:
            raise FileNotFoundError("gone meanwhile")

    def __enter__(self) -> "World":
        self.poller.start()
        assert self.hub.exhausted.wait(PATIENCE_S)
        return self

    def __exit__(self, *_) -> None:
        self.hub.let_go.set()
        self.poller.stop(PATIENCE_S)


def answer(*, runs=(), **more) -> SyncAnswer:
    return SyncAnswer(runs=tuple(assignment(run=run) for run in runs), settings=SETTINGS, **more)


def test_what_an_answer_brings_reaches_everybody_concerned() -> None:
    with World(answer(runs=[1, 2], cancel=(3,), ended_jobs=("0a" * 16,))) as world:
        assert (world.taken, world.cancelled, world.ended) == ([1, 2], [3], ["0a" * 16])


def test_one_mistake_hides_nothing_else_and_the_node_goes_on_listening() -> None:
    with World(answer(runs=[13, 1], cancel=(13, 3)), answer(runs=[2])) as world:
        assert world.taken == [13, 1, 2]
        assert world.cancelled == [13, 3]


@pytest.mark.parametrize("error", [Unreachable(), ValueError("nonsense from a hub")])
def test_a_hub_that_fails_is_asked_again_after_a_pause(error: Exception) -> None:
    with World(error, error, answer(runs=[1])) as world:
        assert world.taken == [1]
        assert len(world.hub.asked) == 4


def test_the_first_sync_answers_at_once_and_tells_how_long_later_ones_may_be_held() -> None:
    with World(answer()) as world:
        assert [request.wait_s for request in world.hub.asked] == [0, 20]
        assert len({request.session for request in world.hub.asked}) == 1


def test_a_held_sync_that_asked_for_nothing_is_replaced_when_a_place_becomes_free() -> None:
    with World(room=Room(0, 0)) as world:
        world.hub.exhausted.clear()
        world.poller.nudge()
        assert len(world.hub.asked) == 1
        world.room = Room(0, 1)
        world.poller.nudge()
        assert world.hub.exhausted.wait(PATIENCE_S)
        assert [(request.want, request.want_subtasks) for request in world.hub.asked] == [(0, 0), (0, 1)]


def test_draining_asks_for_nothing_more() -> None:
    with World() as world:
        world.hub.exhausted.clear()
        world.poller.drain()
        assert world.hub.exhausted.wait(PATIENCE_S)
        assert world.hub.asked[-1].want == 0
