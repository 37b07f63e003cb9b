"""Signed documents and small sealed payloads as they stand in messages."""

from typing import Annotated

from pydantic import Field, StringConstraints

from vprotocol.messages.wire import Message

INLINE_LIMIT_BYTES = 64 * 1024  # of a whole sealed payload that may travel inside a message

Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class SignedMessage(Message):
    """Exactly the four fields of `vprotocol.signed.Signed`; checked by it, forwarded verbatim."""

    type: str
    body: Base64
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    signature: Base64


class PayloadRef(Message):
    """A payload by its id, with its bytes when they are few."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    bytes_total: Annotated[int, Field(ge=0)]  # of the whole sealed payload
    inline: Base64 | None = None
