"""A sealed payload: one body for any number of readers, signed by its sender. docs/protocol/envelope.md is normative.

`seal` and `open_sealed` hold constant memory at any size. `open_sealed` checks the signature and every segment before
the first byte of content leaves it.
"""

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.cobblestone import Cobblestone256Encryptor

from vprotocol import strict_json
from vprotocol.envelope import recipients, stream
from vprotocol.envelope.format import (
    HEADER_LIMIT_BYTES,
    Context,
    Header,
    Parts,
    PayloadKind,
    Recipient,
    Statement,
    Suite,
    merkle_root,
    read_parts,
    segment_count,
    write_prefix,
    write_suffix,
)
from vprotocol.errors import KeyInvalid, SignatureInvalid, SuiteRefused, WrongContext
from vprotocol.ids import PayloadId
from vprotocol.keys import PrivateKey, PublicKey
from vprotocol.signed import DocumentType, Signed

__all__ = [
    "Context",
    "Header",
    "Parts",
    "PayloadKind",
    "Sealed",
    "Suite",
    "inspect",
    "open_bytes",
    "open_sealed",
    "seal",
    "seal_bytes",
]


@dataclass(frozen=True)
class Sealed:
    """What `seal` has written."""

    parts: Parts
    leaves: tuple[bytes, ...]  # hash of each segment of the body, for uploads

    @property
    def id(self) -> PayloadId:
        return self.parts.id


def seal(
    source: BinaryIO, sink: BinaryIO, context: Context, readers: Iterable[PublicKey], signer: PrivateKey
) -> Sealed:
    """Seal all of `source` into `sink` for `readers`, signed by `signer`, who is `context.sender`.

    :raises KeyInvalid: the signer is not the sender, a reader cannot be sealed for, or there is nobody to read it.
    """
    if context.sender != signer.id:
        raise KeyInvalid("the context names another sender than the signer")
    readers = list(readers)
    content_key = None
    wraps: tuple[Recipient, ...] = ()
    if context.suite is Suite.OPEN:
        if readers:
            raise KeyInvalid("a payload of suite 0 is readable by everybody and names no readers")
    else:
        if not readers:
            raise KeyInvalid("a sealed payload needs at least one reader")
        content_key = Cobblestone256Encryptor.generate_key()
        wraps = recipients.wrap(content_key, context, readers)
    header = Header(**{name: getattr(context, name) for name in Context.model_fields}, recipients=wraps)
    header_bytes = header.encode()
    if len(header_bytes) > HEADER_LIMIT_BYTES:
        raise KeyInvalid(f"{len(wraps)} readers are more than one payload has room for")
    write_prefix(sink, header_bytes)
    leaves, length = stream.seal_body(source, sink, content_key, context.hash)
    statement = Statement(
        header=hashlib.sha256(header_bytes).hexdigest(),
        root=merkle_root(leaves).hex(),
        segments=segment_count(length),
        length=length,
    )
    signed = Signed.sign(DocumentType.PAYLOAD, statement.encode(), signer)
    trailer_bytes = strict_json.canonical(signed.to_wire())
    write_suffix(sink, trailer_bytes)
    return Sealed(Parts.parse(header_bytes, trailer_bytes), tuple(leaves))


def inspect(source: BinaryIO) -> Parts:
    """Header and trailer, checked against each other and the file's length; neither signature nor body are checked.

    :raises Damaged: it is not such as we write.
    """
    return read_parts(source)


def open_sealed(
    source: BinaryIO,
    sink: BinaryIO,
    *,
    reader: PrivateKey,
    sender: PublicKey,
    expected: Context,
    expected_id: PayloadId | None = None,
    min_suite: Suite = Suite.XWING,
) -> Header:
    """Check everything, then write the content to `sink`.

    :param expected: what the plan says this payload is; its `suite` is not compared (`min_suite` decides), nor its
        `media_type`. Anything else must be equal.
    :param expected_id: the payload's id, where plan or receipt name it.
    :raises Damaged: any byte differs from what the sender sealed.
    :raises SignatureInvalid: `sender` did not sign it. WrongContext: it belongs elsewhere.
    :raises SuiteRefused: weaker than `min_suite`. NotForThisKey: not sealed for `reader`.
    """
    parts = read_parts(source)
    _check_context(parts, expected, expected_id, min_suite)
    try:
        parts.signed.check(DocumentType.PAYLOAD, sender)
    except SignatureInvalid as fault:
        raise SignatureInvalid(f"the payload is not from its sender: {fault}") from None
    source.seek(parts.body_offset)
    parts.check_leaves(stream.hash_body(source, parts.statement.length))
    header = parts.header
    if header.suite is Suite.OPEN:
        content_key = None
    else:
        content_key = recipients.unwrap(header, reader)
    source.seek(parts.body_offset)
    stream.open_body(source, parts.statement.length, sink, content_key, header.context.hash)
    return header


def seal_bytes(
    content: bytes, context: Context, readers: Iterable[PublicKey], signer: PrivateKey
) -> tuple[bytes, Sealed]:
    """`seal` for small content."""
    sink = io.BytesIO()
    sealed = seal(io.BytesIO(content), sink, context, readers, signer)
    return sink.getvalue(), sealed


def open_bytes(
    data: bytes,
    *,
    reader: PrivateKey,
    sender: PublicKey,
    expected: Context,
    expected_id: PayloadId | None = None,
    min_suite: Suite = Suite.XWING,
) -> bytes:
    """`open_sealed` for small content."""
    sink = io.BytesIO()
    open_sealed(
        io.BytesIO(data),
        sink,
        reader=reader,
        sender=sender,
        expected=expected,
        expected_id=expected_id,
        min_suite=min_suite,
    )
    return sink.getvalue()


def _check_context(parts: Parts, expected: Context, expected_id: PayloadId | None, min_suite: Suite) -> None:
    header = parts.header
    if expected_id is not None and parts.id != expected_id:
        raise WrongContext("this is not the payload that was promised", fields={"expected": expected_id})
    if header.suite < min_suite:
        raise SuiteRefused(
            f"suite {int(header.suite)} where at least {int(min_suite)} is demanded",
            fields={"suite": int(header.suite), "min_suite": int(min_suite)},
        )
    for name in ("kind", "plan", "path", "organization", "generation", "attempt", "sender"):
        if getattr(header, name) != getattr(expected, name):
            raise WrongContext(f"the payload's {name} is not the expected one", fields={"field": name})
