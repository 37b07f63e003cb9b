"""A signature over exact bytes (the pre-authentication encoding of DSSE), stored and forwarded verbatim.

The body is never re-serialised: it is parsed from the bytes that were signed, after the signature was checked.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from vprotocol.errors import DocumentInvalid, SignatureInvalid
from vprotocol.ids import HEX_128, Hash, KeyId
from vprotocol.keys import PrivateKey, PublicKey


class DocumentType(StrEnum):
    KEY_LOG_ENTRY = "vestal/key-log-entry/v1"
    KEY_LOG_HEAD = "vestal/key-log-head/v1"
    PLAN = "vestal/plan/v1"
    SUBTASK = "vestal/subtask/v1"
    SUPPLEMENT = "vestal/supplement/v1"
    RECEIPT = "vestal/receipt/v1"
    PAYLOAD = "vestal/payload/v1"
    DEVICE_REQUEST = "vestal/key-request/v1"


def pre_authentication_encoding(kind: str, body: bytes) -> bytes:
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)


@dataclass(frozen=True)
class Signed:
    """Bytes with a type, and one signature over both."""

    type: DocumentType
    body: bytes
    key: KeyId
    signature: bytes

    @classmethod
    def sign(cls, kind: DocumentType, body: bytes, key: PrivateKey) -> Self:
        return cls(kind, body, key.id, key.sign(pre_authentication_encoding(kind, body)))

    @cached_property
    def hash(self) -> Hash:
        """SHA-256 of what was signed (type and body; not the signature)."""
        return hashlib.sha256(pre_authentication_encoding(self.type, self.body)).hexdigest()

    def check(self, kind: DocumentType, key: PublicKey) -> bytes:
        """The body, if it is of this type and `key` signed it.

        :raises SignatureInvalid: another type, another key, or bytes that were changed.
        """
        if self.type is not kind:
            raise SignatureInvalid(f"a {kind.value} is needed, this is a {self.type.value}")
        if self.key != key.id:
            raise SignatureInvalid(f"signed with key {self.key}, expected {key.id}")
        if not key.verifies(self.signature, pre_authentication_encoding(self.type, self.body)):
            raise SignatureInvalid()
        return self.body

    def to_wire(self) -> dict[str, str]:
        return {
            "type": self.type.value,
            "body": base64.b64encode(self.body).decode("ascii"),
            "key": self.key,
            "signature": base64.b64encode(self.signature).decode("ascii"),
        }

    @classmethod
    def from_wire(cls, data: Any, *, limit_bytes: int = 1 << 20) -> Self:
        """:raises DocumentInvalid: not exactly the four fields, each well formed."""
        if not isinstance(data, dict) or set(data) != {"type", "body", "key", "signature"}:
            raise DocumentInvalid("a signed document has the fields type, body, key and signature")
        if not isinstance(data["type"], str) or data["type"] not in set(DocumentType):
            raise DocumentInvalid("unknown type of signed document")
        if not isinstance(data["key"], str) or not HEX_128.fullmatch(data["key"]):
            raise DocumentInvalid("the key id of a signed document is 32 hex digits")
        if isinstance(data["body"], str) and len(data["body"]) > 4 * (limit_bytes // 3 + 1):
            raise DocumentInvalid(f"the signed body is larger than the {limit_bytes} bytes that are allowed")
        body, signature = _unb64(data["body"], "body"), _unb64(data["signature"], "signature")
        if len(body) > limit_bytes:
            raise DocumentInvalid(f"the signed body has {len(body)} bytes; {limit_bytes} are allowed")
        if len(signature) != 64:
            raise DocumentInvalid("a signature has 64 bytes")
        return cls(DocumentType(data["type"]), body, data["key"], signature)


def _unb64(text: Any, what: str) -> bytes:
    if not isinstance(text, str):
        raise DocumentInvalid(f"{what} is not base64")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DocumentInvalid(f"{what} is not base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise DocumentInvalid(f"{what} is not canonical base64")
    return data
