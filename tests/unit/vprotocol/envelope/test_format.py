import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vprotocol.world import A, B, order_context
from vprotocol import strict_json
from vprotocol.envelope import Suite, inspect, seal_bytes
from vprotocol.envelope.format import (
    LENGTH,
    MAGIC,
    SEGMENT_BYTES,
    Parts,
    Statement,
    leaf,
    merkle_root,
    read_header,
    segment_count,
    segment_length,
)
from vprotocol.errors import Damaged
from vprotocol.signed import DocumentType, Signed

SEALED, MADE = seal_bytes(b"content", order_context(), [B.organization.public], A.user)
HEADER, TRAILER = MADE.parts.header_bytes, MADE.parts.trailer_bytes


def rfc_6962(leaves):
    """The recursive definition of RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + rfc_6962(leaves[:split]) + rfc_6962(leaves[split:])).digest()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129])
def test_the_merkle_root_is_that_of_rfc_6962(count):
    leaves = [leaf(bytes([number])) for number in range(count)]
    assert merkle_root(leaves) == rfc_6962(leaves)


def test_an_inner_node_is_never_a_leaf():
    two = [leaf(b"a"), leaf(b"b")]
    assert merkle_root([leaf(two[0] + two[1])]) != merkle_root(two)


@given(st.lists(st.binary(min_size=1, max_size=3), min_size=2, max_size=20, unique=True), st.data())
def test_reordered_dropped_or_doubled_leaves_change_the_root(segments, data):
    leaves = [leaf(segment) for segment in segments]
    root = merkle_root(leaves)
    at = data.draw(st.integers(0, len(leaves) - 2))
    swapped = [*leaves]
    swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
    for changed in (swapped, leaves[:-1], leaves[1:], [*leaves, leaves[-1]]):
        assert merkle_root(changed) != root


@pytest.mark.parametrize(
    ("length", "lengths"),
    [
        (0, [0]),
        (1, [1]),
        (SEGMENT_BYTES, [SEGMENT_BYTES]),
        (SEGMENT_BYTES + 1, [SEGMENT_BYTES, 1]),
        (2 * SEGMENT_BYTES, [SEGMENT_BYTES] * 2),
        (2 * SEGMENT_BYTES + 7, [SEGMENT_BYTES] * 2 + [7]),
    ],
)
def test_segments_of_a_body(length, lengths):
    assert segment_count(length) == len(lengths)
    assert [segment_length(length, number) for number in range(len(lengths))] == lengths


def test_the_layout_of_the_bytes():
    body = SEALED[len(MAGIC) + 4 + len(HEADER) : -len(TRAILER) - 4]
    assert SEALED == b"VESTAL\0\1" + LENGTH.pack(len(HEADER)) + HEADER + body + TRAILER + LENGTH.pack(len(TRAILER))
    assert MADE.leaves == (hashlib.sha256(b"\0" + body).digest(),)
    assert inspect(io.BytesIO(SEALED)) == MADE.parts
    assert MADE.parts.body_offset + len(body) + len(TRAILER) + 4 == MADE.parts.total_bytes == len(SEALED)


def changed_header(**changes):
    return strict_json.canonical({**strict_json.loads(HEADER, limit_bytes=10**6), **changes})


def without(name):
    return strict_json.canonical({k: v for k, v in strict_json.loads(HEADER, limit_bytes=10**6).items() if k != name})


WRAP = {"key": B.organization.id, "wrap": "AAAA"}


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"", "not JSON"),
        (b"[]", "object"),
        (HEADER + b" ", "one form"),
        (HEADER[:-1], "not JSON"),
        (without("sender"), "sender"),
        (without("version"), "one form"),
        (without("generation"), "one form"),
        (without("recipients"), "recipients"),
        (changed_header(extra=1), "extra"),
        (changed_header(version=2), "version"),
        (changed_header(version=True), "one form"),
        (changed_header(suite=3), "suite"),
        (changed_header(suite=True), "one form"),
        (changed_header(suite="2"), "suite"),
        (changed_header(suite=None), "suite"),
        (changed_header(kind="secret"), "kind"),
        (changed_header(generation=-1), "generation"),
        (changed_header(attempt=True), "attempt"),
        (changed_header(attempt=2**40), "attempt"),
        (changed_header(path="part[0]\n"), "task path"),
        (changed_header(path="part"), "task path"),
        (changed_header(path=5), "path"),
        (changed_header(plan="AB" * 32), "plan"),
        (changed_header(organization="ab"), "organization"),
        (changed_header(sender=A.user.id.upper()), "sender"),
        (changed_header(media_type="text"), "media_type"),
        (changed_header(media_type="text/html\n"), "media_type"),
        (changed_header(compression="gzip"), "compression"),
        (changed_header(recipients=[]), "at least one"),
        (changed_header(suite=0), "suite 0 names no recipients"),
        (changed_header(recipients=[WRAP, WRAP]), "each once"),
        (changed_header(recipients=[{**WRAP, "key": "f" * 32}, {**WRAP, "key": "0" * 32}]), "in the order"),
        (changed_header(recipients=[{**WRAP, "wrap": "A" * 5000}]), "wrap"),
        (changed_header(recipients=[{**WRAP, "name": "x"}]), "name"),
    ],
)
def test_a_header_that_we_would_not_have_written_is_refused(header, says):
    with pytest.raises(Damaged, match=says):
        read_header(header)


def statement(**changes):
    return {**strict_json.loads(MADE.parts.signed.body, limit_bytes=4096), **changes}


def trailer(body, kind=DocumentType.PAYLOAD, key=A.user):
    raw = body if isinstance(body, bytes) else strict_json.canonical(body)
    return strict_json.canonical(Signed.sign(kind, raw, key).to_wire())


@pytest.mark.parametrize(
    ("trailer_bytes", "says"),
    [
        (b"", "not JSON"),
        (b"{}", "has the fields"),
        (TRAILER + b"\n", "canonical"),
        (TRAILER.replace(b'"type"', b'"zype"'), "has the fields"),
        (trailer(statement(), kind=DocumentType.RECEIPT), "something else"),
        (trailer(statement(), key=B.user), "not signed by the sender"),
        (trailer(statement(header="0" * 64)), "another header"),
        (trailer(statement(segments=2)), "contradict"),
        (trailer(statement(segments=0)), "segments"),
        (trailer(statement(length=SEGMENT_BYTES + 1)), "contradict"),
        (trailer(statement(length=-1)), "length"),
        (trailer(statement(length=2**50)), "length"),
        (trailer(statement(version=2)), "version"),
        (trailer(statement(version=True)), "one form"),
        (trailer(statement(root="00")), "root"),
        (trailer(statement(more=1)), "more"),
        (trailer(strict_json.canonical(statement()) + b" "), "one form"),
        (trailer(b"\xff"), "UTF-8"),
        (b"[" * 5000, "allowed"),
    ],
)
def test_a_trailer_that_we_would_not_have_written_is_refused(trailer_bytes, says):
    with pytest.raises(Damaged, match=says):
        Parts.parse(HEADER, trailer_bytes)


def test_the_statement_is_about_the_whole_header():
    with pytest.raises(Damaged, match="another header"):
        Parts.parse(changed_header(attempt=1), TRAILER)


@pytest.mark.parametrize(
    "leaves",
    [
        (),
        (leaf(b"x"),),
        (*MADE.leaves, *MADE.leaves),
        (MADE.leaves[0] + b"\0",),
        (MADE.leaves[0][:-1],),
    ],
)
def test_other_leaves_are_refused(leaves):
    MADE.parts.check_leaves(MADE.leaves)
    with pytest.raises(Damaged):
        MADE.parts.check_leaves(leaves)


def test_leaves_cut_at_another_place_are_refused():
    two = [leaf(b"a"), leaf(b"b")]
    made = Statement(header="0" * 64, root=merkle_root(two).hex(), segments=2, length=SEGMENT_BYTES + 1)
    parts = Parts(HEADER, TRAILER, MADE.parts.header, made, MADE.parts.signed)
    parts.check_leaves(two)
    joined = two[0] + two[1]
    with pytest.raises(Damaged, match="32 bytes"):
        parts.check_leaves([joined[:20], joined[20:]])


@pytest.mark.parametrize("suite", list(Suite))
@pytest.mark.parametrize("cut", [0, 1, 7, 8, 11, 12, 13, 100, 600])
def test_a_file_that_ends_early_is_damaged(suite, cut):
    readers = [] if suite is Suite.OPEN else [B.organization.public]
    sealed, _ = seal_bytes(b"content", order_context(suite), readers, A.user)
    with pytest.raises(Damaged):
        inspect(io.BytesIO(sealed[:cut]))


@pytest.mark.parametrize(
    "data",
    [
        MAGIC + b"\xff\xff\xff\xff" + b"x" * 100,
        MAGIC + b"\0\0\0\0" + b"\xff\xff\xff\xff",
        MAGIC + b"\0\0\0\0" + b"\0\0\0\0",
        MAGIC + b"\0\0\0\0",
        MAGIC + LENGTH.pack(len(HEADER)) + HEADER + TRAILER + LENGTH.pack(len(TRAILER) + 1),
        MAGIC + LENGTH.pack(len(HEADER)) + HEADER + TRAILER + LENGTH.pack(len(TRAILER)),
        b"VESTAL\0\2" + SEALED[8:],
        SEALED + b"\0",
        b"\0" + SEALED,
        SEALED + SEALED,
    ],
)
def test_lengths_that_lie_are_refused(data):
    with pytest.raises(Damaged):
        inspect(io.BytesIO(data))
