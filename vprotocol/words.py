"""A fingerprint for people: ten words, or groups of base32."""

import base64

from vprotocol.ids import Fingerprint
from vprotocol.wordlist import WORDS

WORD_COUNT = 10
BITS_A_WORD = 11


def words(fingerprint: Fingerprint) -> tuple[str, ...]:
    """The first 110 bits of the fingerprint as ten words."""
    number = int(fingerprint, 16) >> (256 - WORD_COUNT * BITS_A_WORD)
    shifts = range((WORD_COUNT - 1) * BITS_A_WORD, -1, -BITS_A_WORD)
    return tuple(WORDS[(number >> shift) & (len(WORDS) - 1)] for shift in shifts)


def spoken(fingerprint: Fingerprint) -> str:
    return " ".join(words(fingerprint))


def base32(fingerprint: Fingerprint) -> str:
    """The whole fingerprint in lower-case base32, in groups of four."""
    text = base64.b32encode(bytes.fromhex(fingerprint)).decode("ascii").rstrip("=").lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
