"""What a secret may look like in bytes: a text or a number in, every spelling of it out. Pure."""

import base64
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

LEAST_BITS = 48  # a shorter needle turns up in random bytes by chance: it would say nothing
LEAST_BYTES = LEAST_BITS // 8
LEAST_DIGITS = 8
MANY_DIGITS = 12  # digits without a point look like a piece of any hex digest, so more of them are demanded

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, order=True)
class Secret:
    """Something that nobody but the participants may learn. `kind`: method, argument, column or result."""

    kind: str
    value: str | float

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


@dataclass(frozen=True)
class Needle:
    """One spelling of a secret."""

    content: bytes
    secret: Secret
    spelling: str


def needles(secrets: Iterable[Secret]) -> list[Needle]:
    """Every spelling of every secret, each content once per secret."""
    return [Needle(content, secret, how) for secret in secrets for content, how in spellings(secret.value).items()]


def too_short(secrets: Iterable[Secret]) -> list[Secret]:
    """Those for which no search would mean anything."""
    return [secret for secret in secrets if not spellings(secret.value)]


def spellings(value: str | float) -> dict[bytes, str]:
    """Content → how the value is spelled there. Empty for a value too short, or too round, to be searched for."""
    plain = dict(_of_text(value) if isinstance(value, str) else _of_number(value))
    found = {content: how for content, how in plain.items() if len(content) >= LEAST_BYTES}
    for content, how in plain.items():
        if len(content) >= LEAST_BYTES:
            for coded, coding in _coded(content):
                found.setdefault(coded, f"{how} in {coding}")
    return found


def _of_text(text: str) -> Iterator[tuple[bytes, str]]:
    yield text.encode(), "UTF-8"


def _of_number(number: float) -> Iterator[tuple[bytes, str]]:
    """Decimal prefixes and the eight bytes of the float; nothing for a number of few digits."""
    mantissa, _, exponent = f"{number:.16e}".partition("e")
    digits = repr(float(number)).lower().partition("e")[0].replace(".", "").replace("-", "").strip("0")
    if len(digits) < LEAST_DIGITS:
        return
    yield struct.pack("<d", number), "float64, little endian"
    yield struct.pack(">d", number), "float64, big endian"
    scientific = mantissa.lstrip("-")
    yield scientific[: LEAST_DIGITS + 1].encode(), "decimal prefix, scientific"
    fixed = _fixed_prefix(digits, int(exponent))
    if fixed is not None:
        yield fixed.encode(), "decimal prefix"
    if len(digits) >= MANY_DIGITS:
        yield digits[:MANY_DIGITS].encode(), "digits"


def _fixed_prefix(digits: str, exponent: int) -> str | None:
    """The first significant digits as they stand in fixed notation, with the point if it is among them."""
    if exponent < 0:
        return f"0.{'0' * (-exponent - 1)}{digits[:LEAST_DIGITS]}"
    if exponent + 1 < min(len(digits), LEAST_DIGITS):
        return f"{digits[: exponent + 1]}.{digits[exponent + 1 : LEAST_DIGITS]}"
    if exponent + 1 < len(digits):
        return f"{digits[: exponent + 1]}.{digits[exponent + 1 : exponent + 2]}"
    return None  # a large whole number: its digits are searched for


def _coded(content: bytes) -> Iterator[tuple[bytes, str]]:
    for offset in range(3):
        core = _core(base64.b64encode, content, offset, group_bytes=3, bits=6)
        if core:
            yield core, f"base64 at offset {offset}"
            yield core.translate(_URL_SAFE), f"URL-safe base64 at offset {offset}"
    for offset in range(5):
        core = _core(base64.b32encode, content, offset, group_bytes=5, bits=5)
        if core:
            yield core, f"base32 at offset {offset}"
            yield core.lower(), f"small base32 at offset {offset}"
    yield content.hex().encode(), "hex"
    yield content.hex().upper().encode(), "HEX"


def _core(encode: Callable[[bytes], bytes], content: bytes, offset: int, *, group_bytes: int, bits: int) -> bytes:
    """The characters that depend on the content alone, when it begins `offset` bytes into a group; empty if few."""
    first = -(-offset * 8 // bits)  # characters before this one hold bits of what stands before
    last = (offset + len(content)) * 8 // bits  # those from this one on hold bits of what follows
    if (last - first) * bits < LEAST_BITS - 2 * (bits - 1):
        return b""
    padding = b"\0" * (-(offset + len(content)) % group_bytes)
    return bytes(encode(b"\0" * offset + content + padding)[first:last])
