"""A result is there completely or not at all, and leaves only when it is dropped."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vprotocol.world import A, B
from vnode.outbox import Outbox
from vprotocol.envelope import Context, PayloadKind, Sealed, Suite, seal

RECEIPT: dict[str, Any] = {"type": "t", "body": "b", "key": "k", "signature": "s"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def outbox(folder: Path) -> Outbox:
    return Outbox(folder)


def sealed_into(path: Path, content: bytes = b"42") -> Sealed:
    context = Context(
        suite=Suite.XWING, kind=PayloadKind.OUTCOME, plan="0f" * 32, path="part[0]", organization=A.fingerprint,
        generation=0, attempt=1, sender=A.node.id, media_type="application/json",
    )  # fmt: skip
    with path.open("xb") as sink:
        return seal(io.BytesIO(content), sink, context, [B.organization.public], A.node)


def commit(outbox: Outbox, key: str = "key") -> Sealed:
    path = outbox.prepare(key) / "0.sealed"
    sealed = sealed_into(path)
    outbox.commit(key, 7, "token", RECEIPT, [(path, sealed)])
    return sealed


def test_a_committed_result_is_found_as_it_was(outbox: Outbox, folder: Path) -> None:
    sealed = commit(outbox)
    found = Outbox(folder).find("key")  # by the next process
    assert found is not None
    assert (found.key, found.run, found.lease_token, found.receipt) == ("key", 7, "token", RECEIPT)
    (payload,) = found.payloads
    assert payload.leaves == sealed.leaves
    assert payload.parts().id == sealed.id


def test_a_result_without_payloads_is_one_too(outbox: Outbox) -> None:
    outbox.prepare("key")
    outbox.commit("key", 7, "token", RECEIPT, [])
    assert [one.payloads for one in outbox.waiting()] == [()]


def test_half_a_result_is_none(outbox: Outbox, folder: Path) -> None:
    sealed_into(outbox.prepare("key") / "0.sealed")  # and the process dies here
    restarted = Outbox(folder)
    assert restarted.find("key") is None
    assert restarted.waiting() == []


def test_half_a_description_is_none(outbox: Outbox, folder: Path) -> None:
    place = outbox.prepare("key")
    (place / ".result.json.0123.new").write_text('{"key": "key", "ru')  # a write that never ended
    assert Outbox(folder).waiting() == []


def test_a_new_attempt_at_sealing_starts_from_nothing(outbox: Outbox) -> None:
    (outbox.prepare("key") / "0.sealed").write_bytes(b"half")
    assert list(outbox.prepare("key").iterdir()) == []
    commit(outbox)
    assert outbox.find("key") is not None


def test_results_wait_until_they_are_dropped(outbox: Outbox, folder: Path) -> None:
    for key in ("a", "b", "c"):
        commit(outbox, key)
    outbox.drop("b")
    outbox.drop("b")
    assert {one.key for one in Outbox(folder).waiting()} == {"a", "c"}


def test_a_drop_that_was_interrupted_leaves_no_result(outbox: Outbox, folder: Path) -> None:
    commit(outbox)
    (place,) = folder.iterdir()
    (place / "result.json").unlink()  # the first thing that a drop does
    assert Outbox(folder).waiting() == []


def test_only_its_owner_looks_inside(outbox: Outbox, folder: Path) -> None:
    commit(outbox)
    (place,) = folder.iterdir()
    assert {path.stat().st_mode & 0o077 for path in (folder, place, place / "result.json")} == {0}


def test_keys_never_become_paths(outbox: Outbox, folder: Path) -> None:
    commit(outbox, "../../etc|part[0]")
    (place,) = folder.iterdir()
    assert place.parent == folder
    assert json.loads((place / "result.json").read_bytes())["key"] == "../../etc|part[0]"
