"""How keys, identities and moments are shown to people."""

from datetime import UTC, datetime
from typing import Any

from vprotocol.keylog import Certificate, KeyLog
from vprotocol.words import base32, spoken


def day(unix_s: int) -> str:
    """Such as 2026-11-22; moments beyond the calendar are called so."""
    try:
        return datetime.fromtimestamp(unix_s, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return "for ever"


def identity(log: KeyLog) -> dict[str, Any]:
    return {
        "name": log.name,
        "fingerprint": log.fingerprint,
        "words": spoken(log.fingerprint),
        "base32": base32(log.fingerprint),
        "entries": len(log.entries),
    }


def certificate(found: Certificate, now: int) -> dict[str, Any]:
    return {
        "id": found.key.id,
        "kind": found.key.kind.value,
        "subject": found.subject,
        "issued_at": found.issued_at,
        "not_after": found.not_after,
        "revoked_at": found.revoked_at,
        "state": state(found, now),
    }


def state(found: Certificate, now: int) -> str:
    if found.revoked_at is not None:
        return "revoked"
    return "expired" if now >= found.not_after else "valid"
