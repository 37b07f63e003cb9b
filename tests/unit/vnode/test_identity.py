"""One identity, never overwritten: neither on disk nor at the hub."""

import json
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.vprotocol.world import NOW, YEAR_S, A, B, private
from vnode.identity import KeyPlaces, agree_with_hub, open_identity, read_key_log, write_key_log
from vnode.reporter import Hub
from vprotocol.errors import IdentityChanged, KeyFileInvalid, KeyLogInvalid
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind
from vruntime.clock import ManualClock
from vruntime.keyfiles import read_key


class PretendHub:
    """Shows one key log and remembers what it was given."""

    def __init__(self, shown: KeyLog | None) -> None:
        self.shown, self.uploads = shown, 0

    def key_log(self, organization_id: int) -> KeyLog | None:
        return self.shown

    def upload_key_log(self, organization_id: int, log: KeyLog) -> None:
        self.shown, self.uploads = log, self.uploads + 1


def agree(shown: KeyLog | None, own: KeyLog) -> tuple[KeyLog, PretendHub]:
    hub = PretendHub(shown)
    return agree_with_hub(cast(Hub, hub), 1, own), hub


def longer(log: KeyLog, name: str = "another laptop") -> KeyLog:
    key = private(KeyKind.USER, name).public
    return log.certify(A.root, key, name, NOW, NOW + YEAR_S).sign_head(A.node, NOW + 60)


@pytest.fixture
def places(tmp_path: Path) -> KeyPlaces:
    return KeyPlaces.at(tmp_path / "node", None, None)


def made(places: KeyPlaces) -> KeyLog:
    return open_identity(places, "Hospital A", "node-1", ManualClock(now=NOW))


# --- made here -------------------------------------------------------------------------------------------------------
def test_a_new_identity_certifies_its_keys_and_has_a_fresh_head(places: KeyPlaces) -> None:
    log = made(places)
    assert log.name == "Hospital A"
    organization = read_key(places.organization_key, KeyKind.ORGANIZATION)
    node = read_key(places.node_key, KeyKind.NODE)
    assert log.organization_key(NOW).id == organization.id
    assert log.certificate(node.id, KeyKind.NODE, NOW).subject == "node node-1"
    assert log.root.id == read_key(places.root, KeyKind.ROOT).id
    log.check_fresh(NOW)


def test_a_second_start_finds_the_same_identity(places: KeyPlaces) -> None:
    assert made(places).fingerprint == made(places).fingerprint


def test_keys_without_their_log_are_no_identity(places: KeyPlaces) -> None:
    made(places)
    places.key_log.unlink()
    with pytest.raises(KeyFileInvalid, match=r"key-log\.json does not") as refused:
        made(places)
    assert "Copy key-log.json" in str(refused.value.hint)


def test_an_organization_key_elsewhere_has_its_root_beside_it(tmp_path: Path) -> None:
    places = KeyPlaces.at(tmp_path / "node", tmp_path / "keys" / "a.key", None)
    made(places)
    assert {path.name for path in (tmp_path / "keys").iterdir()} == {"a.key", "root.key"}
    assert places.node_key.is_relative_to(tmp_path / "node")


# --- on disk ---------------------------------------------------------------------------------------------------------
def test_a_log_comes_back_from_disk(places: KeyPlaces) -> None:
    write_key_log(places.key_log, A.log)
    assert read_key_log(places.key_log).entries == A.log.entries
    assert places.key_log.stat().st_mode & 0o077 == 0


def test_a_longer_log_takes_the_place_of_a_shorter_one_and_never_the_other_way_round(places: KeyPlaces) -> None:
    write_key_log(places.key_log, A.log)
    write_key_log(places.key_log, longer(A.log))
    write_key_log(places.key_log, A.log.sign_head(A.node, NOW + 100))  # a daemon that has not noticed yet
    assert read_key_log(places.key_log).number == A.log.number + 1


def test_another_identity_never_takes_the_place(places: KeyPlaces) -> None:
    write_key_log(places.key_log, A.log)
    with pytest.raises(IdentityChanged):
        write_key_log(places.key_log, B.log)
    assert read_key_log(places.key_log).fingerprint == A.fingerprint


def test_another_history_never_takes_the_place(places: KeyPlaces) -> None:
    write_key_log(places.key_log, longer(A.log, "one laptop"))
    with pytest.raises(IdentityChanged):
        write_key_log(places.key_log, longer(A.log, "another laptop"))


def test_many_writers_leave_a_whole_file(places: KeyPlaces) -> None:
    write_key_log(places.key_log, A.log)
    heads = [A.log.sign_head(A.node, NOW + second) for second in range(20)]
    writers = [threading.Thread(target=write_key_log, args=(places.key_log, head)) for head in heads]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert read_key_log(places.key_log).entries == A.log.entries
    assert {path.name for path in places.key_log.parent.iterdir()} == {"key-log.json", ".key-log.json.lock"}


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON", b'{"entries": [], "head": null}', b"[]"])
def test_a_damaged_log_says_so(places: KeyPlaces, content: bytes) -> None:
    places.key_log.parent.mkdir(parents=True)
    places.key_log.write_bytes(content)
    with pytest.raises(KeyLogInvalid, match=r"key-log\.json cannot be used") as refused:
        read_key_log(places.key_log)
    assert refused.value.hint == "Restore it from a backup."


def test_an_edited_log_is_damaged(places: KeyPlaces) -> None:
    write_key_log(places.key_log, A.log)
    document: dict[str, Any] = json.loads(places.key_log.read_bytes())
    del document["entries"][1]
    places.key_log.write_text(json.dumps(document))
    with pytest.raises(KeyLogInvalid):
        read_key_log(places.key_log)


# --- at the hub ------------------------------------------------------------------------------------------------------
def test_a_hub_without_an_identity_gets_ours() -> None:
    agreed, hub = agree(None, A.log)
    assert (agreed, hub.shown) == (A.log, A.log)


def test_the_same_log_is_not_uploaded_again() -> None:
    agreed, hub = agree(A.log, A.log)
    assert (agreed, hub.uploads) == (A.log, 0)


def test_a_fresher_head_is_uploaded() -> None:
    own = A.log.sign_head(A.node, NOW + 100)
    _, hub = agree(A.log, own)
    assert hub.shown == own


def test_our_longer_log_is_uploaded() -> None:
    own = longer(A.log)
    agreed, hub = agree(A.log, own)
    assert (agreed.number, hub.shown) == (own.number, own)


def test_the_hubs_longer_log_is_taken_and_not_overwritten() -> None:
    shown = longer(A.log)
    agreed, hub = agree(shown, A.log)
    assert (agreed.number, hub.uploads) == (shown.number, 0)


def test_another_identity_at_the_hub_stops_and_shows_both() -> None:
    hub = PretendHub(B.log)
    with pytest.raises(IdentityChanged) as refused:
        agree_with_hub(cast(Hub, hub), 1, A.log)
    assert refused.value.fields == {"here": A.fingerprint, "hub": B.fingerprint}
    assert "Nothing was overwritten" in str(refused.value.hint)
    assert hub.uploads == 0


@pytest.mark.parametrize("further", [False, True])
def test_another_history_at_the_hub_stops(further: bool) -> None:
    shown = longer(A.log, "one laptop")
    own = longer(A.log, "another laptop")
    hub = PretendHub(shown)
    with pytest.raises(IdentityChanged):
        agree_with_hub(cast(Hub, hub), 1, longer(own, "a third") if further else own)
    assert hub.uploads == 0
