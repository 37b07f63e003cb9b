import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vprotocol.world import A
from vprotocol.errors import KeyInvalid
from vprotocol.keys import MLKEM768_PUBLIC_BYTES, KeyKind, PrivateKey, PublicKey


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("kind", list(KeyKind))
@given(seed=st.binary(min_size=32, max_size=32))
def test_a_record_travels_and_comes_back_equal(kind, seed):
    public = PrivateKey(kind, seed).public
    assert PublicKey.from_record(public.record()) == public
    assert len(public.id) == 32


def test_the_kinds_of_one_seed_have_nothing_in_common():
    keys = [PrivateKey(kind, bytes(32)).public for kind in KeyKind]
    parts = [part for key in keys for part in (key.sign, key.x25519, key.xwing) if part]
    assert len(set(parts)) == len(parts)
    assert len({key.id for key in keys}) == len(keys)


def test_the_seed_is_never_shown():
    key = PrivateKey.generate(KeyKind.USER)
    assert repr(key.seed) not in repr(key) and key.seed.hex() not in repr(key)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seed_has_32_bytes(length):
    with pytest.raises(KeyInvalid, match="32 bytes"):
        PrivateKey(KeyKind.ROOT, bytes(length))


@pytest.mark.parametrize("kind", [KeyKind.ROOT, KeyKind.NODE])
def test_keys_that_only_sign_cannot_be_sealed_for(kind):
    public = PrivateKey(kind, bytes(32)).public
    for use in (public.x25519_public, public.xwing_public):
        with pytest.raises(KeyInvalid, match="sealed for"):
            use()


USER, NODE = A.user.public.record(), A.node.public.record()
XWING = A.user.public.xwing
assert XWING is not None


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (None, "not the record"),
        ([], "not the record"),
        ({}, "not the record"),
        ({"kind": []}, "not the record"),
        ({"kind": {}}, "not the record"),
        ({**NODE, "kind": "admin"}, "not the record"),
        ({**NODE, "x25519": USER["x25519"]}, "has the fields"),
        ({**USER, "kind": "node"}, "has the fields"),
        ({**NODE, "kind": "organization"}, "has the fields"),
        ({"kind": "node"}, "has the fields"),
        ({**NODE, "sign": 5}, "not base64"),
        ({**NODE, "sign": NODE["sign"] + "!"}, "not base64"),
        ({**NODE, "sign": b64(bytes(31))}, "32 are needed"),
        ({**NODE, "sign": b64(bytes(33))}, "32 are needed"),
        ({**NODE, "sign": NODE["sign"][:-2] + "B="}, "32 are needed"),
        ({**USER, "xwing": b64(XWING[:-1])}, "1216 are needed"),
        ({**USER, "x25519": b64(bytes(32))}, "impossible"),
        ({**USER, "x25519": b64(bytes([1]) + bytes(31))}, "impossible"),
        ({**USER, "xwing": b64(XWING[:MLKEM768_PUBLIC_BYTES] + bytes(32))}, "impossible"),
        ({**USER, "xwing": b64(b"\xff" * 1216)}, "impossible"),
    ],
)
def test_what_is_not_the_record_of_a_key_is_refused(record, says):
    with pytest.raises(KeyInvalid, match=says):
        PublicKey.from_record(record)


@given(st.binary(max_size=100))
def test_foreign_signatures_do_not_verify(signature):
    assert not A.node.public.verifies(signature, b"message")
    assert not A.organization.public.verifies(signature, b"message")


def test_the_hybrid_key_is_x_wing(monkeypatch):
    """The first test vector of draft-connolly-cfrg-xwing-kem, appendix C."""
    seed = bytes.fromhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26")
    monkeypatch.setattr("vprotocol.keys._derive", lambda *_: seed)
    xwing = PrivateKey(KeyKind.ORGANIZATION, seed).public.xwing
    assert xwing is not None
    assert xwing.hex().startswith("e2236b35a8c24b39b10aa1323a96a919a2ced88400633a7b07131713fc14b2b5")
    assert xwing.hex().endswith("c8cd049040ef6534")
