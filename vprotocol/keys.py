"""The four kinds of keys. Each is one 32-byte seed; what it signs and opens with is derived from it by HKDF.

Source of the algorithms: HPKE RFC 9180; X-Wing draft-connolly-cfrg-xwing-kem (key expansion of a 32-byte seed);
Ed25519 RFC 8032. The implementations are those of `cryptography`.
"""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ed25519, mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vprotocol import strict_json
from vprotocol.errors import KeyInvalid
from vprotocol.ids import KeyId

SEED_BYTES = 32
MLKEM768_PUBLIC_BYTES = 1184
XWING_PUBLIC_BYTES = MLKEM768_PUBLIC_BYTES + 32


class KeyKind(StrEnum):
    ROOT = "root"  # signs the key log, nothing else
    ORGANIZATION = "organization"  # opens orders and the outputs that flow between steps
    NODE = "node"  # signs receipts, subtasks, heads
    USER = "user"  # signs plans; opens final outcomes and logs


_SIGNS = frozenset({KeyKind.ROOT, KeyKind.NODE, KeyKind.USER})
_OPENS = frozenset({KeyKind.ORGANIZATION, KeyKind.USER})


_PROBE = X25519PrivateKey.from_private_bytes(bytes(range(SEED_BYTES)))  # secret of nobody


def _derive(seed: bytes, kind: KeyKind, use: str) -> bytes:
    return HKDF(
        algorithm=hashes.SHA256(), length=SEED_BYTES, salt=None, info=f"vestal/v1/{kind.value}/{use}".encode()
    ).derive(seed)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: Any, length: int, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise KeyInvalid(f"{what} is not base64") from None
    if len(data) != length or _b64(data) != text:
        raise KeyInvalid(f"{what} has {len(data)} bytes; {length} are needed")
    return data


@dataclass(frozen=True)
class PublicKey:
    """The public half: what others need to check signatures of this key or to seal for it."""

    kind: KeyKind
    sign: bytes | None = None  # Ed25519, 32 bytes
    x25519: bytes | None = None  # 32 bytes, suite 1
    xwing: bytes | None = None  # ML-KEM-768 then X25519, 1216 bytes, suite 2

    def record(self) -> dict[str, str]:
        """The JSON object that stands in certificates."""
        found: dict[str, str] = {"kind": self.kind.value}
        for name in ("sign", "x25519", "xwing"):
            value = getattr(self, name)
            if value is not None:
                found[name] = _b64(value)
        return found

    @classmethod
    def from_record(cls, record: Any) -> Self:
        """:raises KeyInvalid: it is not exactly the record of a key."""
        kind = record.get("kind") if isinstance(record, dict) else None
        if not isinstance(kind, str) or kind not in set(KeyKind):
            raise KeyInvalid("not the record of a key")
        kind = KeyKind(kind)
        wanted = {"kind"} | ({"sign"} if kind in _SIGNS else set()) | ({"x25519", "xwing"} if kind in _OPENS else set())
        if set(record) != wanted:
            raise KeyInvalid(f"the record of a {kind.value} key has the fields {sorted(wanted)}")
        sizes = {"sign": 32, "x25519": 32, "xwing": XWING_PUBLIC_BYTES}
        parts = {name: _unb64(record[name], sizes[name], f"{name} of a {kind.value} key") for name in wanted - {"kind"}}
        key = cls(kind, **parts)
        key._parse()
        return key

    @cached_property
    def id(self) -> KeyId:
        """First 128 bits of the SHA-256 of the canonical record."""
        return hashlib.sha256(strict_json.canonical(self.record())).hexdigest()[:32]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        if self.sign is None:
            return False
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.sign).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def x25519_public(self) -> X25519PublicKey:
        if self.x25519 is None:
            raise KeyInvalid(f"a {self.kind.value} key cannot be sealed for")
        return X25519PublicKey.from_public_bytes(self.x25519)

    def xwing_public(self) -> hpke.MLKEM768X25519PublicKey:
        if self.xwing is None:
            raise KeyInvalid(f"a {self.kind.value} key cannot be sealed for")
        return hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(self.xwing[:MLKEM768_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(self.xwing[MLKEM768_PUBLIC_BYTES:]),
        )

    def _parse(self) -> None:
        try:
            if self.sign is not None:
                ed25519.Ed25519PublicKey.from_public_bytes(self.sign)
            if self.kind in _OPENS:
                self.xwing_public()
                for point in (self.x25519, (self.xwing or b"")[MLKEM768_PUBLIC_BYTES:]):
                    # A point of small order gives everybody the same secret: the exchange refuses it.
                    _PROBE.exchange(X25519PublicKey.from_public_bytes(point or b""))
        except ValueError:
            raise KeyInvalid(f"the record of a {self.kind.value} key holds impossible values") from None


@dataclass(frozen=True)
class PrivateKey:
    """A key with its secret half. Never printed: its representation shows kind and id only."""

    kind: KeyKind
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise KeyInvalid(f"a seed has {SEED_BYTES} bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls, kind: KeyKind) -> Self:
        return cls(kind, secrets.token_bytes(SEED_BYTES))

    @cached_property
    def public(self) -> PublicKey:
        sign = x = xwing = None
        if self.kind in _SIGNS:
            sign = self._signing.public_key().public_bytes_raw()
        if self.kind in _OPENS:
            x = self.x25519_private.public_key().public_bytes_raw()
            ml, x2 = self._xwing_parts
            xwing = ml.public_key().public_bytes_raw() + x2.public_key().public_bytes_raw()
        return PublicKey(self.kind, sign, x, xwing)

    @property
    def id(self) -> KeyId:
        return self.public.id

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes.

        :raises KeyInvalid: keys of this kind do not sign.
        """
        if self.kind not in _SIGNS:
            raise KeyInvalid(f"a {self.kind.value} key does not sign")
        return self._signing.sign(message)

    @cached_property
    def _signing(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(_derive(self.seed, self.kind, "sign"))

    @cached_property
    def x25519_private(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(_derive(self.seed, self.kind, "x25519"))

    @cached_property
    def xwing_private(self) -> hpke.MLKEM768X25519PrivateKey:
        return hpke.MLKEM768X25519PrivateKey(*self._xwing_parts)

    @cached_property
    def _xwing_parts(self) -> tuple[mlkem.MLKEM768PrivateKey, X25519PrivateKey]:
        expanded = hashlib.shake_256(_derive(self.seed, self.kind, "xwing")).digest(96)
        return (
            mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
            X25519PrivateKey.from_private_bytes(expanded[64:]),
        )
