"""Known organizations: two programs write one store, and neither undoes what the other did."""

from pathlib import Path

import pytest

from tests.unit.vprotocol.world import NOW, YEAR_S, A, B, C, private
from vprotocol.errors import ConfigInvalid, IdentityChanged, KeyLogRolledBack, OrganizationUnknown
from vprotocol.keys import KeyKind
from vruntime.trust_store import TrustLevel, TrustStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known" / "organizations.json"


def test_first_contact_is_not_verified(path: Path) -> None:
    known = TrustStore(path).accept(A.log, NOW, 1)
    assert (known.level, known.first_seen, known.hub_id) == (TrustLevel.UNVERIFIED, NOW, 1)
    assert TrustStore(path).get(A.fingerprint).level is TrustLevel.UNVERIFIED
    with pytest.raises(OrganizationUnknown, match="have not been compared"):
        TrustStore(path).get(A.fingerprint, TrustLevel.VERIFIED)


def test_a_running_program_sees_what_another_verified_and_forgot(path: Path) -> None:
    running, command = TrustStore(path), TrustStore(path)
    running.accept(A.log, NOW, 1)
    command.mark_verified(A.fingerprint)
    assert running.get(A.fingerprint).level is TrustLevel.VERIFIED
    command.forget(A.fingerprint)
    assert running.find(A.fingerprint) is None


def test_two_writers_keep_each_others_changes(path: Path) -> None:
    one, other = TrustStore(path), TrustStore(path)
    one.accept(A.log, NOW, 1)
    other.accept(B.log, NOW, 2)
    one.accept(C.log, NOW, 3)
    other.mark_verified(A.fingerprint)
    one.accept(A.log.sign_head(A.node, NOW + 9), NOW + 9, 1)
    assert [(known.log.name, known.level) for known in TrustStore(path).all()] == [
        ("Hospital A", TrustLevel.VERIFIED),
        ("Hospital B", TrustLevel.UNVERIFIED),
        ("Registry C", TrustLevel.UNVERIFIED),
    ]
    assert TrustStore(path).get(A.fingerprint).log.head_body.issued_at == NOW + 9  # type: ignore[union-attr]


def test_a_number_that_shows_another_identity_stops(path: Path) -> None:
    store = TrustStore(path)
    store.accept(A.log, NOW, 1)
    with pytest.raises(IdentityChanged, match="another identity for Hospital A"):
        store.accept(B.log, NOW, 1)
    assert TrustStore(path).find(B.fingerprint) is None


def test_a_log_never_becomes_shorter(path: Path) -> None:
    store = TrustStore(path)
    key = private(KeyKind.USER, "new laptop").public
    store.accept(A.log.certify(A.root, key, "new laptop", NOW, NOW + YEAR_S).sign_head(A.node, NOW), NOW, 1)
    with pytest.raises(KeyLogRolledBack):
        store.accept(A.log, NOW, 1)


def test_an_older_head_does_not_replace_a_newer_one(path: Path) -> None:
    store = TrustStore(path)
    store.accept(A.log.sign_head(A.node, NOW + 100), NOW, 1)
    assert store.accept(A.log, NOW, 1).log.head_body.issued_at == NOW + 100  # type: ignore[union-attr]


def test_a_damaged_store_says_what_to_do(path: Path) -> None:
    TrustStore(path).accept(A.log, NOW, 1)
    path.write_text("{")
    with pytest.raises(ConfigInvalid, match="is damaged") as refused:
        TrustStore(path)
    assert "backup" in str(refused.value.hint)
