"""A device asks its organization to certify its key: the public half and whose it is, signed by the key itself.

The signature proves that whoever asks holds the secret half. Whether the subject is who they say is for the holder of
the root to find out before certifying.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from vprotocol.documents import DocumentBody
from vprotocol.errors import DocumentInvalid, KeyInvalid, SignatureInvalid
from vprotocol.ids import KeyId, Text
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.signed import DocumentType, Signed

REQUEST_LIMIT_BYTES = 16 * 1024


class KeyRequestBody(DocumentBody):
    version: Literal[1] = 1
    subject: Annotated[Text, Field(min_length=1, max_length=200)]
    key: dict[str, str]


@dataclass(frozen=True)
class KeyRequest:
    """A request whose signature was checked; there is no unchecked one."""

    subject: str
    key: PublicKey
    signed: Signed

    @property
    def key_id(self) -> KeyId:
        return self.key.id

    @classmethod
    def make(cls, subject: str, key: PrivateKey) -> Self:
        """:raises DocumentInvalid: no subject, a very long one, or a key that is not a user's or node's."""
        try:
            body = KeyRequestBody(subject=subject, key=key.public.record())
        except ValueError:
            raise DocumentInvalid("a key request needs a subject: one line of at most 200 characters") from None
        return cls.read(Signed.sign(DocumentType.DEVICE_REQUEST, body.encode(), key))

    @classmethod
    def read(cls, signed: Signed) -> Self:
        """:raises DocumentInvalid: not a key request. SignatureInvalid: not signed by the key that it shows."""
        if signed.type is not DocumentType.DEVICE_REQUEST:
            raise DocumentInvalid(f"a key request is needed, this is a {signed.type.value}")
        body = KeyRequestBody.decode(signed.body, limit_bytes=REQUEST_LIMIT_BYTES)
        try:
            key = PublicKey.from_record(body.key)
        except KeyInvalid as fault:
            raise DocumentInvalid(str(fault)) from None
        if key.kind not in (KeyKind.USER, KeyKind.NODE):
            raise DocumentInvalid(f"a {key.kind.value} key is not certified on request")
        if signed.key != key.id:
            raise SignatureInvalid("the key request is signed with another key than the one it shows")
        signed.check(DocumentType.DEVICE_REQUEST, key)
        return cls(body.subject, key, signed)

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        return cls.read(Signed.from_wire(data, limit_bytes=REQUEST_LIMIT_BYTES))

    def to_wire(self) -> dict[str, str]:
        return self.signed.to_wire()
