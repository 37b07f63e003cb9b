import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.vprotocol.world import A, B
from vprotocol.errors import DocumentInvalid, KeyInvalid, SignatureInvalid
from vprotocol.signed import DocumentType, Signed, pre_authentication_encoding

BODY = b'{"a":1}'
SIGNED = Signed.sign(DocumentType.RECEIPT, BODY, A.node)


def test_the_pre_authentication_encoding_is_that_of_dsse():
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_it_travels_and_comes_back_equal():
    assert Signed.from_wire(SIGNED.to_wire()) == SIGNED
    assert SIGNED.check(DocumentType.RECEIPT, A.node.public) == BODY


def test_a_signature_counts_for_its_type_only():
    for kind in set(DocumentType) - {DocumentType.RECEIPT}:
        with pytest.raises(SignatureInvalid, match="is needed"):
            SIGNED.check(kind, A.node.public)
        with pytest.raises(SignatureInvalid):
            Signed(kind, BODY, A.node.id, SIGNED.signature).check(kind, A.node.public)


def test_another_key_is_refused():
    with pytest.raises(SignatureInvalid, match="expected"):
        SIGNED.check(DocumentType.RECEIPT, B.node.public)
    with pytest.raises(SignatureInvalid):
        Signed(SIGNED.type, BODY, B.node.id, SIGNED.signature).check(DocumentType.RECEIPT, B.node.public)


def test_an_organization_key_does_not_sign():
    with pytest.raises(KeyInvalid, match="does not sign"):
        Signed.sign(DocumentType.PLAN, BODY, A.organization)


@given(st.integers(0, len(BODY) + 63), st.integers(1, 255))
def test_any_changed_byte_of_body_or_signature_is_refused(at, change):
    data = bytearray(SIGNED.body + SIGNED.signature)
    data[at] ^= change
    changed = Signed(SIGNED.type, bytes(data[: len(BODY)]), SIGNED.key, bytes(data[len(BODY) :]))
    with pytest.raises(SignatureInvalid):
        changed.check(DocumentType.RECEIPT, A.node.public)


@settings(max_examples=200)
@given(st.integers(0, 255), st.integers(0, 10**6))
def test_any_changed_character_on_the_wire_is_refused(char, position):
    wire = SIGNED.to_wire()
    names = sorted(wire)
    name = names[position % len(names)]
    at = position // len(names) % len(wire[name])
    if wire[name][at] == chr(char):
        return
    wire[name] = wire[name][:at] + chr(char) + wire[name][at + 1 :]
    with pytest.raises((DocumentInvalid, SignatureInvalid)):
        Signed.from_wire(wire).check(DocumentType.RECEIPT, A.node.public)


GOOD = SIGNED.to_wire()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "has the fields"),
        ([], "has the fields"),
        ({**GOOD, "more": 1}, "has the fields"),
        ({k: v for k, v in GOOD.items() if k != "key"}, "has the fields"),
        ({**GOOD, "type": "vestal/plan/v2"}, "unknown type"),
        ({**GOOD, "type": []}, "unknown type"),
        ({**GOOD, "type": {}}, "unknown type"),
        ({**GOOD, "key": GOOD["key"].upper()}, "32 hex digits"),
        ({**GOOD, "key": GOOD["key"] + "\n"}, "32 hex digits"),
        ({**GOOD, "key": 5}, "32 hex digits"),
        ({**GOOD, "body": 5}, "not base64"),
        ({**GOOD, "body": "é"}, "not base64"),
        ({**GOOD, "body": "a"}, "not base64"),
        ({**GOOD, "body": GOOD["body"] + "\n"}, "not base64"),
        ({**GOOD, "body": GOOD["body"].rstrip("=")}, "not base64"),
        ({**GOOD, "body": "YR=="}, "not canonical base64"),
        ({**GOOD, "signature": ""}, "64 bytes"),
        ({**GOOD, "signature": base64.b64encode(bytes(65)).decode()}, "64 bytes"),
        ({**GOOD, "body": base64.b64encode(bytes(101)).decode()}, "are allowed"),
        ({**GOOD, "body": "A" * 10_000_000}, "are allowed"),
    ],
)
def test_malformed_wire_is_refused_with_a_reason(data, says):
    with pytest.raises(DocumentInvalid, match=says):
        Signed.from_wire(data, limit_bytes=100)
