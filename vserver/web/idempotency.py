"""A repeated creating call with the same Idempotency-Key gets the first one's answer and creates nothing.

The stored answer is written in the transaction that creates, so either both exist or neither.
"""

import hashlib
import json
from typing import Any

from sqlalchemy import String, Text, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from vprotocol.errors import BadRequest, IdempotencyMismatch
from vserver.db import Base

KEPT_S = 24 * 3600
_LONGEST_KEY = 128


class StoredAnswer(Base):
    __tablename__ = "stored_answer"
    principal: Mapped[str] = mapped_column(String(40), primary_key=True)
    key: Mapped[str] = mapped_column(String(_LONGEST_KEY), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[float] = mapped_column(index=True)


def checked_key(key: str) -> str:
    if not 1 <= len(key) <= _LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise BadRequest(
            "The Idempotency-Key is not usable.",
            fields={"Idempotency-Key": f"1 to {_LONGEST_KEY} printable characters"},
        )
    return key


def request_hash(method: str, path: str, body: bytes) -> str:
    digest = hashlib.sha256()
    for part in (method.encode(), path.encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def recalled(session: Session, principal: str, key: str, wanted: str) -> StoredAnswer | None:
    """The answer that was given before.

    :raises IdempotencyMismatch: to a different request.
    """
    stored = session.get(StoredAnswer, (principal, key))
    if stored is not None and stored.request_hash != wanted:
        raise IdempotencyMismatch()
    return stored


def remember(session: Session, answer: StoredAnswer) -> None:
    session.add(answer)


def without_secrets(body: bytes, secrets: tuple[str, ...]) -> str:
    """The answer as it may be kept: what is shown only once becomes null."""
    text = body.decode()
    if not secrets or not text:
        return text
    answer: dict[str, Any] = json.loads(text)
    return json.dumps({name: None if name in secrets else value for name, value in answer.items()})


def forget_old(session: Session, now: float) -> None:
    session.execute(delete(StoredAnswer).where(StoredAnswer.created_at < now - KEPT_S))
