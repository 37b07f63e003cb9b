"""One accepted organization as a row."""

from typing import Any

from vprotocol.words import base32
from vruntime.trust_store import Known, TrustLevel


def known_row(known: Known) -> dict[str, Any]:
    return {
        "id": known.hub_id,
        "name": known.log.name,
        "trust": "verified" if known.level is TrustLevel.VERIFIED else "unverified",
        "words": known.words,
        "fingerprint": known.fingerprint,
        "base32": base32(known.fingerprint),
        "entries": len(known.log.entries),
    }
