"""Others' identities: from the hub, and believed no further than signatures go."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.vprotocol.world import NOW, A, B
from vprotocol.errors import HeadTooOld, OrganizationUnknown, Unreachable, VestalError
from vruntime.clock import ManualClock
from vruntime.directory import FRESH_FOR_S, Directory
from vruntime.http import UnexpectedAnswer
from vruntime.trust_store import TrustStore


class Hub:
    """Shows the identities of A and B; `answer` replaces what it says, or is raised."""

    def __init__(self) -> None:
        self.answer: Any = None
        self.asked = 0

    def get(self, path: str, params: Any = None) -> Any:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if params is None:
            return (A if path.split("/")[2] == "1" else B).log.to_wire()
        relation = {"id": 1, "link": "/x", "methods": []}
        items = [
            {
                "id": number, "self": "/x", "name": one.name, "fingerprint": one.fingerprint, "created_at": 0.0,
                "public_key": relation, "collaborations": "/x", "nodes": "/x", "users": "/x",
            }
            for number, one in enumerate((A, B), start=1)
            if one.fingerprint == params["fingerprint"]
        ]  # fmt: skip
        return {"data": items, "links": {"self": "/x", "first": "/x", "prev": None, "next": None}, "total": len(items)}


class World:
    def __init__(self, folder: Path) -> None:
        self.hub, self.clock = Hub(), ManualClock(now=NOW + 5)
        self.store = TrustStore(folder / "store.json")
        self.directory = Directory(self.hub, self.store, self.clock)  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_asks_at_most_once_a_minute(world: World) -> None:
    for _ in range(3):
        assert world.directory.known(A.fingerprint).log.name == A.name
    assert world.hub.asked == 2  # the number, and the log
    world.clock.advance(FRESH_FOR_S + 1)
    world.directory.known(A.fingerprint)
    assert world.hub.asked == 4


def test_who_was_seen_stays_known_while_the_hub_is_away_as_long_as_the_head_is_fresh(world: World) -> None:
    world.directory.known(A.fingerprint)
    world.hub.answer = Unreachable()
    world.clock.advance(3600)
    assert world.directory.node_key(A.fingerprint, A.node.id) == A.node.public
    world.clock.advance(8 * 86_400)
    with pytest.raises((HeadTooOld, Unreachable)):
        world.directory.known(A.fingerprint)


def test_who_was_never_seen_is_not_known_while_the_hub_is_away(world: World) -> None:
    world.hub.answer = Unreachable()
    with pytest.raises(Unreachable):
        world.directory.known(B.fingerprint)


def test_a_hub_that_denies_who_was_seen_is_not_overlooked(world: World) -> None:
    world.directory.known(A.fingerprint)
    world.clock.advance(FRESH_FOR_S + 1)
    links = {"self": "/x", "first": "/x", "prev": None, "next": None}
    world.hub.answer = {"data": [], "links": links, "total": 0}
    with pytest.raises(OrganizationUnknown):
        world.directory.known(A.fingerprint)


@pytest.mark.parametrize("answer", [[], 7, "x", {}, {"data": 3}, {"data": [1]}, {"data": [{"fingerprint": "x"}]}])
def test_what_is_no_list_is_the_hubs_fault(world: World, answer: Any) -> None:
    world.hub.answer = answer
    with pytest.raises(UnexpectedAnswer) as caught:
        world.directory.known(A.fingerprint)
    assert isinstance(caught.value, VestalError)
