"""Keys of an organization, from the command to the hub to the running node."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.hub_world import HubWorld
from tests.wsgi_adapter import WsgiAdapter
from vnode.cli._key_log import certify, revoke
from vnode.config import HubSettings
from vnode.identity import KeyPlaces, agree_with_hub, open_identity, read_key_log
from vnode.reporter import Hub
from vprotocol.errors import ConfigInvalid, IdentityChanged
from vprotocol.keys import KeyKind, PrivateKey
from vruntime.clock import SystemClock

CLOCK = SystemClock()


@pytest.fixture
def world(tmp_path: Path) -> Any:
    (tmp_path / "hub").mkdir()
    world = HubWorld(tmp_path / "hub", clock=CLOCK)
    yield world
    world.close()


def door(world: HubWorld, api_key: str) -> Hub:
    session = requests.Session()
    session.mount("http://hub", WsgiAdapter(world.app))
    return Hub.connect(HubSettings(url="http://hub", api_key=api_key), CLOCK, "test", session)


@pytest.fixture
def organization(world: HubWorld) -> int:
    return world.organization("Hospital A")


@pytest.fixture
def hub(world: HubWorld, organization: int) -> Hub:
    return door(world, world.node(organization).pair["api_key"])


@pytest.fixture
def places(tmp_path: Path, hub: Hub, organization: int) -> KeyPlaces:
    places = KeyPlaces.at(tmp_path / "node", None, None)
    agree_with_hub(hub, organization, open_identity(places, "Hospital A", "one", CLOCK))
    return places


def user_key() -> PrivateKey:
    return PrivateKey.generate(KeyKind.USER)


def until() -> int:
    return int(CLOCK.now()) + 86_400


def test_a_certified_key_is_at_the_hub_and_on_disk(hub: Hub, places: KeyPlaces, organization: int) -> None:
    key = user_key()
    certify(places, places.root, key.public, "Ada", until(), CLOCK, hub)
    shown = hub.key_log(organization)
    assert shown is not None
    assert shown.certificates[key.id].subject == "Ada"
    assert read_key_log(places.key_log).entries == shown.entries


def test_a_revocation_reaches_the_hub(hub: Hub, places: KeyPlaces, organization: int) -> None:
    key = user_key()
    certify(places, places.root, key.public, "Ada", until(), CLOCK, hub)
    revoke(places, places.root, key.id, "lost", CLOCK, hub)
    shown = hub.key_log(organization)
    assert shown is not None
    assert shown.certificates[key.id].revoked_at is not None


def test_what_another_place_certified_meanwhile_is_kept(
    hub: Hub, places: KeyPlaces, organization: int, tmp_path: Path
) -> None:
    elsewhere = KeyPlaces.at(tmp_path / "elsewhere", places.organization_key, places.node_key)
    elsewhere.key_log.parent.mkdir(parents=True)
    elsewhere.key_log.write_bytes(places.key_log.read_bytes())
    first, second = user_key(), user_key()
    certify(elsewhere, places.root, first.public, "first", until(), CLOCK, hub)
    log = certify(places, places.root, second.public, "second", until(), CLOCK, hub)
    assert {first.id, second.id} <= set(log.certificates)


def test_two_histories_never_join_silently(hub: Hub, places: KeyPlaces, organization: int, tmp_path: Path) -> None:
    elsewhere = KeyPlaces.at(tmp_path / "elsewhere", places.organization_key, places.node_key)
    elsewhere.key_log.parent.mkdir(parents=True)
    elsewhere.key_log.write_bytes(places.key_log.read_bytes())
    certify(elsewhere, places.root, user_key().public, "offline", until(), CLOCK, None)
    certify(places, places.root, user_key().public, "online", until(), CLOCK, hub)
    with pytest.raises(IdentityChanged):
        certify(elsewhere, places.root, user_key().public, "too late", until(), CLOCK, hub)


def test_only_a_node_brings_a_key_log(world: HubWorld, hub: Hub, places: KeyPlaces) -> None:
    class NotANode:
        def whoami(self) -> Any:
            return hub.whoami().model_copy(update={"kind": "user"})

    with pytest.raises(ConfigInvalid, match="not that of a node"):
        certify(places, places.root, user_key().public, "Ada", until(), CLOCK, NotANode())  # type: ignore[arg-type]
    assert read_key_log(places.key_log).number == 2
