"""The bytes of a sealed payload. Knows no keys: whoever stores or forwards payloads checks them with this file alone.

    magic | header length | header | body | trailer | trailer length        (lengths: 32 bits, big endian)

The header and the trailer are canonical JSON; the trailer is a signed statement about the header's hash and the Merkle
root of the body's segments. The payload's id is the hash of that statement.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Annotated, Any, BinaryIO, Literal, Self

from pydantic import Field, field_validator, model_validator

from vprotocol import strict_json
from vprotocol.documents import DocumentBody
from vprotocol.errors import Damaged, DocumentInvalid
from vprotocol.ids import Fingerprint, Hash, KeyId, PayloadId, PlanHash
from vprotocol.paths import PathText
from vprotocol.signed import DocumentType, Signed

MAGIC = b"VESTAL\x00\x01"
LENGTH = struct.Struct(">I")
SEGMENT_BYTES = 8 * 1024 * 1024
LEAF_BYTES = 32
HEADER_LIMIT_BYTES = 4 * 1024 * 1024  # about 2,500 recipients in suite 2
TRAILER_LIMIT_BYTES = 4096
BODY_LIMIT_BYTES = 2**42


class Suite(IntEnum):
    """How the content key is wrapped."""

    OPEN = 0  # no wraps, readable body; signed all the same
    X25519 = 1  # HPKE, DHKEM(X25519), HKDF-SHA256, AES-256-GCM
    XWING = 2  # HPKE, ML-KEM-768 with X25519, HKDF-SHA256, AES-256-GCM


class PayloadKind(StrEnum):
    ORDER = "order"
    OUTCOME = "outcome"
    LOG = "log"
    RESOURCE = "resource"
    DESCRIPTOR = "descriptor"
    EVENT = "event"


class Recipient(DocumentBody):
    key: KeyId
    wrap: Annotated[str, Field(max_length=4096)]  # base64 of the HPKE ciphertext of the content key


class Context(DocumentBody):
    """Every header field but the recipients: where this payload belongs. Wraps and body are bound to it."""

    version: Literal[1] = 1
    suite: Suite
    kind: PayloadKind
    plan: PlanHash | None  # of the plan it belongs to; none in root orders, which the plan binds by their ids
    path: PathText | None
    organization: Fingerprint  # of the sender
    generation: Annotated[int, Field(ge=0, le=2**31)] = 0
    attempt: Annotated[int, Field(ge=0, le=2**31)] = 0  # 0: not of an attempt (orders)
    sender: KeyId
    media_type: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9.+-]+/[a-z0-9.+-]+$")] = "application/json"
    compression: Literal["none"] = "none"

    @cached_property
    def hash(self) -> bytes:
        return hashlib.sha256(self.encode()).digest()


class Header(Context):
    recipients: tuple[Recipient, ...]

    @field_validator("recipients")
    @classmethod
    def _sorted_and_unique(cls, value: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
        keys = [recipient.key for recipient in value]
        if keys != sorted(set(keys)):
            raise ValueError("recipients stand in the order of their key ids, each once")
        return value

    @model_validator(mode="after")
    def _as_the_suite_says(self) -> Self:
        if bool(self.recipients) != (self.suite is not Suite.OPEN):
            raise ValueError("suite 0 names no recipients, every other suite at least one")
        return self

    @cached_property
    def context(self) -> Context:
        return Context(**{name: getattr(self, name) for name in Context.model_fields})


class Statement(DocumentBody):
    """What the sender signs about the whole payload."""

    version: Literal[1] = 1
    header: Hash
    root: Hash  # Merkle root over the body's segments
    segments: Annotated[int, Field(ge=1, le=BODY_LIMIT_BYTES // SEGMENT_BYTES)]
    length: Annotated[int, Field(ge=0, le=BODY_LIMIT_BYTES)]  # of the body, bytes


def leaf(*parts: bytes | memoryview) -> bytes:
    """Hash of one segment of the body, given whole or in parts; in a different domain than inner nodes (RFC 6962)."""
    digest = hashlib.sha256(b"\x00")
    for part in parts:
        digest.update(part)
    return digest.digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 tree hash over at least one leaf."""
    level = list(leaves)
    while len(level) > 1:
        pairs = [hashlib.sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def segment_count(length: int) -> int:
    """Segments of a body of `length` bytes; an empty body has one, empty, segment."""
    return max(1, -(-length // SEGMENT_BYTES))


def segment_length(length: int, number: int) -> int:
    return min(SEGMENT_BYTES, length - number * SEGMENT_BYTES)


@dataclass(frozen=True)
class Parts:
    """What is around a body: checked against each other, the signature excepted (that needs a key)."""

    header_bytes: bytes
    trailer_bytes: bytes
    header: Header
    statement: Statement
    signed: Signed

    @property
    def id(self) -> PayloadId:
        return self.signed.hash

    @property
    def body_offset(self) -> int:
        return len(MAGIC) + LENGTH.size + len(self.header_bytes)

    @property
    def total_bytes(self) -> int:
        return self.body_offset + self.statement.length + len(self.trailer_bytes) + LENGTH.size

    @classmethod
    def parse(cls, header_bytes: bytes, trailer_bytes: bytes) -> Self:
        """:raises Damaged: header and trailer are not such as we write, or do not belong together."""
        header = read_header(header_bytes)
        try:
            wire = strict_json.loads_canonical(trailer_bytes, limit_bytes=TRAILER_LIMIT_BYTES, what="trailer")
            signed = Signed.from_wire(wire)
        except DocumentInvalid as fault:
            raise Damaged(str(fault)) from None
        if signed.type is not DocumentType.PAYLOAD:
            raise Damaged("the trailer is a statement about something else")
        statement = Statement.decode(signed.body, limit_bytes=TRAILER_LIMIT_BYTES, error=Damaged)
        if signed.key != header.sender:
            raise Damaged("the trailer is not signed by the sender that the header names")
        if statement.header != hashlib.sha256(header_bytes).hexdigest():
            raise Damaged("the trailer belongs to another header")
        if statement.segments != segment_count(statement.length):
            raise Damaged("number of segments and length contradict each other")
        return cls(header_bytes, trailer_bytes, header, statement, signed)

    def check_leaves(self, leaves: Sequence[bytes]) -> None:
        """:raises Damaged: the segments with these hashes are not the body that was signed."""
        if any(len(found) != LEAF_BYTES for found in leaves):
            raise Damaged("the hash of a segment has 32 bytes")
        if len(leaves) != self.statement.segments or merkle_root(leaves).hex() != self.statement.root:
            raise Damaged("the body is not the one that was signed")


def read_header(header_bytes: bytes) -> Header:
    """:raises Damaged: not canonical JSON of a header."""
    return Header.decode(header_bytes, limit_bytes=HEADER_LIMIT_BYTES, error=Damaged)


def write_prefix(sink: BinaryIO, header_bytes: bytes) -> None:
    sink.write(MAGIC + LENGTH.pack(len(header_bytes)) + header_bytes)


def write_suffix(sink: BinaryIO, trailer_bytes: bytes) -> None:
    sink.write(trailer_bytes + LENGTH.pack(len(trailer_bytes)))


def read_parts(source: BinaryIO) -> Parts:
    """Header and trailer of a payload in a seekable file; the file's length is checked, the body not read.

    :raises Damaged: not a payload, cut short, or too long.
    """
    source.seek(0, 2)
    total = source.tell()
    source.seek(0)
    if source.read(len(MAGIC)) != MAGIC:
        raise Damaged("not a sealed payload of a version this program knows")
    header_bytes = _sized(source, _length(source), HEADER_LIMIT_BYTES)
    source.seek(max(0, total - LENGTH.size))
    trailer_length = _length(source)
    trailer_at = total - LENGTH.size - trailer_length
    if trailer_length > TRAILER_LIMIT_BYTES or trailer_at < len(MAGIC) + LENGTH.size + len(header_bytes):
        raise Damaged("the payload is cut short")
    source.seek(trailer_at)
    parts = Parts.parse(header_bytes, _sized(source, trailer_length, TRAILER_LIMIT_BYTES))
    if parts.total_bytes != total:
        raise Damaged(f"the payload has {total} bytes, its trailer promises {parts.total_bytes}")
    return parts


def _length(source: BinaryIO) -> int:
    raw = source.read(LENGTH.size)
    if len(raw) != LENGTH.size:
        raise Damaged("the payload is cut short")
    (value,) = LENGTH.unpack(raw)
    return int(value)


def _sized(source: BinaryIO, length: int, limit: int) -> bytes:
    if length > limit:
        raise Damaged(f"a part of the payload claims {length} bytes; {limit} are allowed")
    data = source.read(length)
    if len(data) != length:
        raise Damaged("the payload is cut short")
    return data


def part_fields(parts: Parts) -> dict[str, Any]:
    """What may be said about a payload to anybody: nothing of its content."""
    return {
        "id": parts.id,
        "kind": parts.header.kind.value,
        "suite": int(parts.header.suite),
        "length": parts.statement.length,
        "recipients": len(parts.header.recipients),
    }
