"""A device's request for certification proves that it holds the key that it shows."""

import json

import pytest

from vprotocol import strict_json
from vprotocol.errors import DocumentInvalid, SignatureInvalid
from vprotocol.key_request import KeyRequest
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.signed import DocumentType, Signed


@pytest.fixture
def key() -> PrivateKey:
    return PrivateKey.generate(KeyKind.USER)


def signed(body: dict, key: PrivateKey, kind: DocumentType = DocumentType.DEVICE_REQUEST) -> Signed:
    return Signed.sign(kind, strict_json.canonical(body), key)


@pytest.mark.parametrize("kind", [KeyKind.USER, KeyKind.NODE])
def test_a_request_survives_the_wire(kind):
    made = KeyRequest.make("ada@hospital", PrivateKey.generate(kind))
    read = KeyRequest.from_wire(json.loads(json.dumps(made.to_wire())))
    assert read == made
    assert (read.subject, read.key.kind, read.key_id) == ("ada@hospital", kind, made.key.id)


@pytest.mark.parametrize("subject", ["", "x" * 201, "two\nlines"])
def test_a_subject_is_one_line(key, subject):
    with pytest.raises(DocumentInvalid, match="subject"):
        KeyRequest.make(subject, key)


def test_whoever_shows_a_key_must_hold_it(key):
    other = PrivateKey.generate(KeyKind.USER)
    body = {"version": 1, "subject": "ada", "key": other.public.record()}
    with pytest.raises(SignatureInvalid, match="another key"):
        KeyRequest.read(signed(body, key))


def test_a_changed_subject_is_refused(key):
    made = KeyRequest.make("ada", key).signed
    forged = Signed(made.type, made.body.replace(b"ada", b"eve"), made.key, made.signature)
    with pytest.raises(SignatureInvalid):
        KeyRequest.read(forged)


def test_other_documents_are_no_requests(key):
    body = {"version": 1, "subject": "ada", "key": key.public.record()}
    with pytest.raises(DocumentInvalid, match="key request is needed"):
        KeyRequest.read(signed(body, key, DocumentType.PLAN))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"extra": 1},
        {"key": {"kind": "user"}},
        {"key": PrivateKey.generate(KeyKind.ROOT).public.record()},
        {"key": PrivateKey.generate(KeyKind.ORGANIZATION).public.record()},
    ],
)
def test_malformed_requests_are_refused(key, change):
    body = {"version": 1, "subject": "ada", "key": key.public.record(), **change}
    with pytest.raises(DocumentInvalid):
        KeyRequest.read(signed(body, key))
