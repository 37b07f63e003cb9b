import base64
import hashlib
import io
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.vprotocol.world import A, B, C, order_context, payload_id, private
from vprotocol import strict_json
from vprotocol.envelope import PayloadKind, Suite, inspect, open_bytes, open_sealed, seal, seal_bytes
from vprotocol.envelope.format import SEGMENT_BYTES, Header, Statement, leaf, merkle_root, write_prefix, write_suffix
from vprotocol.errors import (
    Damaged,
    EnvelopeError,
    KeyInvalid,
    NotForThisKey,
    SignatureInvalid,
    SuiteRefused,
    WrongContext,
)
from vprotocol.keys import KeyKind
from vprotocol.signed import DocumentType, Signed

SECRET = b"blood pressure 120 over 80"
READERS = [A.organization, B.organization, C.organization, A.user, B.user]


def sealed_for(readers, content=SECRET, suite=Suite.XWING, **changes):
    return seal_bytes(content, order_context(suite, **changes), [reader.public for reader in readers], A.user)[0]


def opened(data, reader=B.organization, suite=Suite.XWING, **changes):
    options = {"sender": A.user.public, "expected": order_context(suite), "min_suite": suite, **changes}
    return open_bytes(data, reader=reader, **options)


SEALED = {suite: sealed_for([B.organization] if suite else [], suite=suite) for suite in Suite}


@settings(max_examples=30)
@given(
    st.binary(max_size=3000),
    st.sampled_from([Suite.X25519, Suite.XWING]),
    st.lists(st.sampled_from(range(len(READERS))), min_size=1, unique=True),
)
def test_every_reader_opens_what_was_sealed_and_nobody_else(content, suite, chosen):
    sealed = sealed_for([READERS[number] for number in chosen], content, suite)
    for number, reader in enumerate(READERS):
        if number in chosen:
            assert opened(sealed, reader, suite) == content
        else:
            with pytest.raises(NotForThisKey):
                opened(sealed, reader, suite)


@given(st.binary(max_size=3000))
def test_suite_0_carries_its_content_readable_and_signed(content):
    sealed = sealed_for([], content, Suite.OPEN)
    assert content in sealed
    assert opened(sealed, suite=Suite.OPEN) == content


@pytest.mark.parametrize("suite", [Suite.X25519, Suite.XWING])
def test_sealed_content_is_nowhere_in_the_bytes(suite):
    sealed = sealed_for(READERS, suite=suite)
    assert not any(SECRET[at : at + 6] in sealed for at in range(len(SECRET) - 5))


def test_sealing_twice_never_gives_the_same_body():
    assert SEALED[Suite.XWING] != sealed_for([B.organization])


@pytest.mark.parametrize("suite", list(Suite))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(position=st.integers(0, 2**31), change=st.integers(1, 255))
def test_any_changed_byte_is_refused(suite, position, change):
    data = bytearray(SEALED[suite])
    data[position % len(data)] ^= change
    with pytest.raises((EnvelopeError, SignatureInvalid)):
        opened(bytes(data), suite=suite)


@pytest.mark.parametrize("suite", list(Suite))
def test_every_single_bit_of_the_small_parts_counts(suite):
    """Not only sampled: each bit of magic, lengths, body and trailer (the header has too many)."""
    data = SEALED[suite]
    parts = inspect(io.BytesIO(data))
    places = [*range(12), *range(parts.body_offset, len(data))]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises((EnvelopeError, SignatureInvalid)):
            opened(bytes(changed), suite=suite)


@pytest.mark.parametrize("suite", list(Suite))
@given(length=st.integers(0, 2**31))
def test_any_truncation_is_refused(suite, length):
    data = SEALED[suite]
    with pytest.raises(EnvelopeError):
        opened(data[: length % len(data)], suite=suite)


@pytest.mark.parametrize("suite", list(Suite))
@given(more=st.binary(min_size=1, max_size=50), position=st.integers(0, 2**31))
def test_any_insertion_is_refused(suite, more, position):
    data = SEALED[suite]
    at = position % (len(data) + 1)
    with pytest.raises((EnvelopeError, SignatureInvalid)):
        opened(data[:at] + more + data[at:], suite=suite)


def large(suite):
    size = 2 * SEGMENT_BYTES + 1000
    content = b"".join(bytes([number]) * (size // 4) for number in range(4))
    sink = io.BytesIO()
    readers = [B.organization.public] if suite else []
    made = seal(io.BytesIO(content), sink, order_context(suite), readers, A.user)
    return content, sink.getvalue(), made


@pytest.mark.parametrize("suite", [Suite.OPEN, Suite.XWING])
def test_segments_cannot_be_reordered_dropped_or_doubled(suite):
    content, data, made = large(suite)
    assert len(made.leaves) == 3
    assert opened(data, suite=suite) == content
    at = made.parts.body_offset
    first, second = data[at : at + SEGMENT_BYTES], data[at + SEGMENT_BYTES : at + 2 * SEGMENT_BYTES]
    rest = data[at + 2 * SEGMENT_BYTES :]
    for body in (second + first, first + first, second, first, first + second + second):
        sink = io.BytesIO()
        with pytest.raises(Damaged):
            open_sealed(
                io.BytesIO(data[:at] + body + rest),
                sink,
                reader=B.organization,
                sender=A.user.public,
                expected=order_context(suite),
                min_suite=suite,
            )
        assert sink.getvalue() == b"", "not one byte leaves a damaged payload"


def test_memory_stays_constant(tmp_path):
    size = 96 * 2**20
    with open(tmp_path / "content", "wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        with open(tmp_path / "content", "rb") as source, open(tmp_path / "sealed", "w+b") as sink:
            seal(source, sink, order_context(), [B.organization.public], A.user)
            with open(tmp_path / "opened", "wb") as out:
                open_sealed(sink, out, reader=B.organization, sender=A.user.public, expected=order_context())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "opened").stat().st_size == size
    assert peak < 80 * 2**20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", PayloadKind.LOG),
        ("plan", "0c" * 32),
        ("path", "part[1]"),
        ("path", None),
        ("organization", B.fingerprint),
        ("generation", 1),
        ("attempt", 1),
        ("sender", B.user.id),
    ],
)
def test_a_payload_belongs_to_one_place(field, value):
    expected = order_context(**{field: value})
    with pytest.raises(WrongContext, match=field):
        opened(SEALED[Suite.XWING], expected=expected)


def test_another_payload_than_the_promised_one_is_refused():
    data = SEALED[Suite.XWING]
    assert opened(data, expected_id=inspect(io.BytesIO(data)).id) == SECRET
    with pytest.raises(WrongContext, match="promised"):
        opened(data, expected_id=payload_id("another"))


def test_a_wrap_cannot_be_moved_to_another_context():
    header = inspect(io.BytesIO(SEALED[Suite.XWING])).header
    moved = {**header.model_dump(), "attempt": 7}
    data = written(Header(**moved), body_of(SEALED[Suite.XWING]))
    with pytest.raises(NotForThisKey, match="another payload"):
        opened(data, expected=order_context(attempt=7))


def test_a_wrap_cannot_be_given_to_another_reader():
    header = inspect(io.BytesIO(SEALED[Suite.XWING])).header
    wraps = [{"key": C.organization.id, "wrap": header.recipients[0].wrap}]
    data = written(Header(**{**header.model_dump(), "recipients": wraps}), body_of(SEALED[Suite.XWING]))
    with pytest.raises(NotForThisKey, match="another"):
        opened(data, C.organization)


def test_a_body_cannot_be_moved_under_another_key():
    other = sealed_for([B.organization])
    header = inspect(io.BytesIO(SEALED[Suite.XWING])).header
    with pytest.raises(Damaged, match="not encrypted with this key"):
        opened(written(header, body_of(other)))


def test_a_body_that_is_no_ciphertext_is_damaged():
    header = inspect(io.BytesIO(SEALED[Suite.XWING])).header
    for body in (b"", b"short", bytes(72), body_of(SEALED[Suite.XWING])[:-1]):
        with pytest.raises(Damaged):
            opened(written(header, body))


@pytest.mark.parametrize(
    ("wrap", "error"),
    [
        ("", Damaged),
        ("!!!!", Damaged),
        (base64.b64encode(bytes(1167)).decode(), Damaged),
        (base64.b64encode(bytes(1169)).decode(), Damaged),
        (base64.b64encode(bytes(1168)).decode()[:-3] + "B==", Damaged),
        (base64.b64encode(bytes(1168)).decode(), NotForThisKey),
    ],
)
def test_a_wrap_that_we_would_not_have_written_is_refused(wrap, error):
    header = inspect(io.BytesIO(SEALED[Suite.XWING])).header
    changed = Header(**{**header.model_dump(), "recipients": [{"key": B.organization.id, "wrap": wrap}]})
    with pytest.raises(error):
        opened(written(changed, body_of(SEALED[Suite.XWING])))


def body_of(data):
    parts = inspect(io.BytesIO(data))
    return data[parts.body_offset : parts.body_offset + parts.statement.length]


def written(header, body, signer=A.user):
    """A payload as a dishonest sender could make it: everything fits and is signed, the content does not."""
    sink = io.BytesIO()
    write_prefix(sink, header.encode())
    sink.write(body)
    leaves = [leaf(body)]
    statement = Statement(
        header=hashlib.sha256(header.encode()).hexdigest(), root=merkle_root(leaves).hex(), segments=1, length=len(body)
    )
    signed = Signed.sign(DocumentType.PAYLOAD, statement.encode(), signer)
    write_suffix(sink, strict_json.canonical(signed.to_wire()))
    return sink.getvalue()


def test_the_signature_of_another_is_refused():
    with pytest.raises(SignatureInvalid, match="not from its sender"):
        opened(SEALED[Suite.XWING], sender=B.user.public)


def test_encryption_cannot_be_switched_off_or_down():
    for suite in (Suite.OPEN, Suite.X25519):
        with pytest.raises(SuiteRefused, match="demanded"):
            opened(SEALED[suite], expected=order_context(suite), min_suite=Suite.XWING)
    with pytest.raises(SuiteRefused):
        opened(SEALED[Suite.OPEN], min_suite=Suite.X25519)


@pytest.mark.parametrize(
    ("readers", "suite", "signer", "says"),
    [
        ([], Suite.XWING, A.user, "at least one reader"),
        ([B.organization], Suite.OPEN, A.user, "no readers"),
        ([B.organization], Suite.XWING, B.user, "another sender"),
        ([B.node], Suite.XWING, A.user, "sealed for"),
        ([B.root], Suite.X25519, A.user, "sealed for"),
    ],
)
def test_nonsense_is_not_sealed(readers, suite, signer, says):
    with pytest.raises(KeyInvalid, match=says):
        seal_bytes(b"", order_context(suite), [reader.public for reader in readers], signer)


def test_a_reader_named_twice_gets_one_wrap():
    header = inspect(io.BytesIO(sealed_for([B.organization, B.organization]))).header
    assert len(header.recipients) == 1


def test_hundreds_of_readers_share_one_body():
    readers = [private(KeyKind.ORGANIZATION, str(number)) for number in range(300)]
    sealed = sealed_for(readers, suite=Suite.X25519)
    assert opened(sealed, readers[123], Suite.X25519) == SECRET
