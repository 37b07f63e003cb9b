"""An organization's key log: append-only, numbered, hash-chained, signed by its root.

Entry 0 is the identity, and its hash is the fingerprint: the organization's name for ever. The rules of trust in keys
all stand in this file, and it touches neither network nor disk nor clock: `now` is passed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError

from vprotocol import strict_json
from vprotocol.documents import DocumentBody, faults
from vprotocol.errors import (
    DocumentInvalid,
    HeadTooOld,
    IdentityChanged,
    KeyInvalid,
    KeyLogInvalid,
    KeyLogRolledBack,
    KeyRevoked,
    KeyUnknown,
    SignatureInvalid,
)
from vprotocol.ids import Fingerprint, Hash, KeyId, Text
from vprotocol.keys import KeyKind, PrivateKey, PublicKey
from vprotocol.signed import DocumentType, Signed

ENTRY_LIMIT_BYTES = 16 * 1024
MAX_ENTRIES = 100_000
CLOCK_SKEW_S = 300
DEFAULT_MAX_HEAD_AGE_S = 7 * 86_400

Seconds = Annotated[int, Field(ge=0, le=2**40)]
Record = dict[str, str]


class IdentityEntry(DocumentBody):
    """Entry 0: who this is."""

    entry: Literal["identity"] = "identity"
    version: Literal[1] = 1
    number: Literal[0] = 0
    previous: None = None
    issued_at: Seconds
    name: Annotated[Text, Field(min_length=1, max_length=200)]
    root: Record
    extensions: dict[str, Any] = Field(default_factory=dict)


class CertifyEntry(DocumentBody):
    """This key is ours, until `not_after`."""

    entry: Literal["certify"] = "certify"
    version: Literal[1] = 1
    number: Annotated[int, Field(ge=1, lt=MAX_ENTRIES)]
    previous: Hash
    issued_at: Seconds
    subject: Annotated[Text, Field(min_length=1, max_length=200)]
    key: Record
    not_after: Seconds
    extensions: dict[str, Any] = Field(default_factory=dict)


class RevokeEntry(DocumentBody):
    """This key is no longer ours, from `issued_at` on."""

    entry: Literal["revoke"] = "revoke"
    version: Literal[1] = 1
    number: Annotated[int, Field(ge=1, lt=MAX_ENTRIES)]
    previous: Hash
    issued_at: Seconds
    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    reason: Annotated[Text, Field(max_length=200)] = ""
    extensions: dict[str, Any] = Field(default_factory=dict)


class RotateRootEntry(DocumentBody):
    """From the next entry on another root signs. Signed by the old root; the fingerprint stays."""

    entry: Literal["rotate-root"] = "rotate-root"
    version: Literal[1] = 1
    number: Annotated[int, Field(ge=1, lt=MAX_ENTRIES)]
    previous: Hash
    issued_at: Seconds
    root: Record
    extensions: dict[str, Any] = Field(default_factory=dict)


Entry = IdentityEntry | CertifyEntry | RevokeEntry | RotateRootEntry
_KINDS: dict[str, type[IdentityEntry] | type[CertifyEntry] | type[RevokeEntry] | type[RotateRootEntry]] = {
    "identity": IdentityEntry,
    "certify": CertifyEntry,
    "revoke": RevokeEntry,
    "rotate-root": RotateRootEntry,
}


class HeadBody(DocumentBody):
    """How long the log is, said freshly by a certified node key (or the root)."""

    version: Literal[1] = 1
    fingerprint: Hash
    number: Annotated[int, Field(ge=0, lt=MAX_ENTRIES)]
    entry_hash: Hash
    issued_at: Seconds


@dataclass(frozen=True)
class Certificate:
    """What the log says about one key."""

    key: PublicKey
    subject: str
    issued_at: int
    not_after: int
    revoked_at: int | None = None

    def check_valid(self, now: int) -> None:
        """:raises KeyRevoked: revoked or expired at `now`."""
        if self.revoked_at is not None and now >= self.revoked_at - CLOCK_SKEW_S:
            raise KeyRevoked(f"key {self.key.id} ({self.subject}) was revoked")
        if now >= self.not_after:
            raise KeyRevoked(f"key {self.key.id} ({self.subject}) has expired")


@dataclass(frozen=True)
class KeyLog:
    """A verified log. Every instance was checked entry by entry; there is no unchecked one."""

    entries: tuple[Signed, ...]
    name: str
    root: PublicKey
    certificates: dict[KeyId, Certificate]
    head: Signed | None = None

    # --- making -------------------------------------------------------------------------------------------------
    @classmethod
    def create(cls, root: PrivateKey, name: str, now: int) -> Self:
        """A new identity: a log with entry 0.

        :raises KeyLogInvalid: the name is empty, too long, or holds control characters.
        """
        return cls.verify((_signed(root, IdentityEntry, issued_at=now, name=name, root=root.public.record()),))

    def certify(self, root: PrivateKey, key: PublicKey, subject: str, now: int, not_after: int) -> Self:
        """:raises KeyLogInvalid: the subject is no text for people, or the entry does not fit."""
        number, previous = len(self.entries), self.entries[-1].hash
        more: dict[str, Any] = {"subject": subject, "key": key.record(), "not_after": not_after}
        return self.append(_signed(root, CertifyEntry, number=number, previous=previous, issued_at=now, **more))

    def revoke(self, root: PrivateKey, key_id: KeyId, now: int, reason: str = "") -> Self:
        if key_id not in self.certificates:
            raise KeyUnknown(f"key {key_id} is not in this key log")
        number, previous = len(self.entries), self.entries[-1].hash
        more: dict[str, Any] = {"key_id": key_id, "reason": reason}
        return self.append(_signed(root, RevokeEntry, number=number, previous=previous, issued_at=now, **more))

    def append(self, entry: Signed) -> Self:
        """The log with one more entry, checked against what is there.

        :raises KeyLogInvalid: wrong number, wrong chain, not signed by the root, or contradicting.
        """
        state = _State(self.root, self.name, dict(self.certificates))
        _apply(state, entry, len(self.entries), self.entries[-1])
        return type(self)((*self.entries, entry), state.name, state.root, state.certificates, None)

    def sign_head(self, key: PrivateKey, now: int) -> Self:
        """The log with a fresh head, signed by one of its node keys or its root."""
        body = HeadBody(
            fingerprint=self.fingerprint, number=len(self.entries) - 1, entry_hash=self.entries[-1].hash, issued_at=now
        ).encode()
        return self.with_head(Signed.sign(DocumentType.KEY_LOG_HEAD, body, key))

    def with_head(self, head: Signed) -> Self:
        """:raises KeyLogInvalid: the head is not of this log, or not signed by a key that may."""
        self._check_head(head)
        return type(self)(self.entries, self.name, self.root, self.certificates, head)

    # --- reading ------------------------------------------------------------------------------------------------
    @classmethod
    def verify(cls, entries: Sequence[Signed], head: Signed | None = None) -> Self:
        """Check a whole log from entry 0.

        :raises KeyLogInvalid: any entry or the head is not what it must be.
        """
        if not entries:
            raise KeyLogInvalid("a key log has at least its entry 0")
        if len(entries) > MAX_ENTRIES:
            raise KeyLogInvalid(f"a key log has at most {MAX_ENTRIES} entries")
        state = _start(entries[0])
        for number, entry in enumerate(entries[1:], start=1):
            _apply(state, entry, number, entries[number - 1])
        log = cls(tuple(entries), state.name, state.root, state.certificates, None)
        return log.with_head(head) if head is not None else log

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """`{"entries": [signed, ...], "head": signed or null}` → a verified log."""
        if not isinstance(data, dict) or not isinstance(data.get("entries"), list):
            raise KeyLogInvalid("an identity is an object with the list `entries` and `head`")
        if len(data["entries"]) > MAX_ENTRIES:
            raise KeyLogInvalid(f"a key log has at most {MAX_ENTRIES} entries")
        try:
            entries = [Signed.from_wire(item, limit_bytes=ENTRY_LIMIT_BYTES) for item in data["entries"]]
            head = data.get("head")
            return cls.verify(entries, None if head is None else Signed.from_wire(head))
        except DocumentInvalid as fault:
            raise KeyLogInvalid(str(fault)) from None

    def to_wire(self) -> dict[str, Any]:
        return {
            "entries": [entry.to_wire() for entry in self.entries],
            "head": self.head.to_wire() if self.head else None,
        }

    @cached_property
    def fingerprint(self) -> Fingerprint:
        return self.entries[0].hash

    @property
    def number(self) -> int:
        """Number of the newest entry."""
        return len(self.entries) - 1

    @cached_property
    def head_body(self) -> HeadBody | None:
        return None if self.head is None else HeadBody.decode(self.head.body, limit_bytes=ENTRY_LIMIT_BYTES)

    def certificate(self, key_id: KeyId, kind: KeyKind, now: int) -> Certificate:
        """:raises KeyUnknown: not certified as this kind; KeyRevoked: revoked or expired at `now`."""
        found = self.certificates.get(key_id)
        if found is None or found.key.kind is not kind:
            raise KeyUnknown(f"key {key_id} is not certified as a {kind.value} key of {self.name}")
        found.check_valid(now)
        return found

    def valid(self, kind: KeyKind, now: int) -> tuple[Certificate, ...]:
        """Certificates of this kind that hold at `now`, newest last."""
        found = [c for c in self.certificates.values() if c.key.kind is kind]
        return tuple(
            c for c in found if c.not_after > now and (c.revoked_at is None or now < c.revoked_at - CLOCK_SKEW_S)
        )

    def organization_key(self, now: int) -> PublicKey:
        """The key to seal for: the newest certified organization key.

        :raises KeyUnknown: there is none.
        """
        found = self.valid(KeyKind.ORGANIZATION, now)
        if not found:
            raise KeyUnknown(f"{self.name} has no valid organization key")
        return found[-1].key

    def check_fresh(self, now: int, max_age_s: int = DEFAULT_MAX_HEAD_AGE_S) -> None:
        """:raises HeadTooOld: no head, one issued longer ago than `max_age_s`, or one from the future."""
        head = self.head_body
        if head is None:
            raise HeadTooOld(f"the key log of {self.name} has no signed head")
        if head.issued_at > now + CLOCK_SKEW_S:
            raise HeadTooOld(f"the head of {self.name}'s key log is from the future", hint="Check both clocks.")
        if now - head.issued_at > max_age_s:
            raise HeadTooOld(f"the head of {self.name}'s key log is {now - head.issued_at} seconds old")

    def check_continues(self, seen_fingerprint: Fingerprint, seen_number: int, seen_hash: Hash) -> None:
        """This log must contain what was seen before.

        :raises IdentityChanged: another identity, or another history; KeyLogRolledBack: shorter than seen.
        """
        if self.fingerprint != seen_fingerprint:
            raise IdentityChanged(fields={"known": seen_fingerprint, "shown": self.fingerprint})
        if self.number < seen_number:
            raise KeyLogRolledBack(f"entry {seen_number} of {self.name}'s key log was seen, {self.number} is shown")
        if self.entries[seen_number].hash != seen_hash:
            raise IdentityChanged(f"entry {seen_number} of {self.name}'s key log is not the one that was seen")

    def _check_head(self, head: Signed) -> None:
        try:
            body = HeadBody.decode(head.body, limit_bytes=ENTRY_LIMIT_BYTES)
            signer = self._head_signer(head.key)
            head.check(DocumentType.KEY_LOG_HEAD, signer)
        except (DocumentInvalid, SignatureInvalid) as fault:
            raise KeyLogInvalid(f"the head is not valid: {fault}") from None
        if body.fingerprint != self.fingerprint:
            raise KeyLogInvalid("the head is of another key log")
        if body.number != self.number or body.entry_hash != self.entries[-1].hash:
            raise KeyLogRolledBack(f"the head speaks of entry {body.number}, the log ends with entry {self.number}")
        newest = _decode(self.entries[-1])
        if body.issued_at < newest.issued_at - CLOCK_SKEW_S:
            # Otherwise a revoked node key could sign heads over its own revocation by dating them back.
            raise KeyLogInvalid("the head is older than the entry that it speaks of")
        found = self.certificates.get(head.key)
        if found is not None:
            try:
                found.check_valid(body.issued_at)
            except KeyRevoked as fault:
                raise KeyLogInvalid(f"the head is signed with a key that had ended: {fault}") from None

    def _head_signer(self, key_id: KeyId) -> PublicKey:
        if key_id == self.root.id:
            return self.root
        found = self.certificates.get(key_id)
        if found is None or found.key.kind is not KeyKind.NODE:
            raise KeyLogInvalid("the head is not signed by a node key or the root of this log")
        return found.key


@dataclass
class _State:
    root: PublicKey
    name: str
    certificates: dict[KeyId, Certificate]


def _signed(
    signer: PrivateKey, kind: type[IdentityEntry] | type[CertifyEntry] | type[RevokeEntry], /, **fields: Any
) -> Signed:
    """:raises KeyLogInvalid: a field is not such as the entry may have."""
    try:
        body = kind(**fields)
    except ValidationError as fault:
        raise KeyLogInvalid(faults(fault)) from None
    return Signed.sign(DocumentType.KEY_LOG_ENTRY, body.encode(), signer)


def _decode(entry: Signed) -> Entry:
    try:
        value = strict_json.loads_canonical(entry.body, limit_bytes=ENTRY_LIMIT_BYTES, what="key log entry")
        kind = _KINDS.get(str(value.get("entry"))) if isinstance(value, dict) else None
        if kind is None:
            raise KeyLogInvalid("unknown kind of key log entry")
        return kind.decode(entry.body, limit_bytes=ENTRY_LIMIT_BYTES, error=KeyLogInvalid)
    except DocumentInvalid as fault:
        raise KeyLogInvalid(str(fault)) from None


def _public(record: Record, *kinds: KeyKind) -> PublicKey:
    try:
        key = PublicKey.from_record(record)
    except KeyInvalid as fault:
        raise KeyLogInvalid(str(fault)) from None
    if key.kind not in kinds:
        raise KeyLogInvalid(f"a {key.kind.value} key has no place in this entry")
    return key


def _check_signed(entry: Signed, root: PublicKey, number: int) -> None:
    try:
        entry.check(DocumentType.KEY_LOG_ENTRY, root)
    except SignatureInvalid as fault:
        raise KeyLogInvalid(f"entry {number} is not signed by the root: {fault}") from None


def _start(entry: Signed) -> _State:
    body = _decode(entry)
    if not isinstance(body, IdentityEntry):
        raise KeyLogInvalid("entry 0 must be the identity")
    root = _public(body.root, KeyKind.ROOT)
    _check_signed(entry, root, 0)
    return _State(root, body.name, {})


def _apply(state: _State, entry: Signed, number: int, previous: Signed) -> None:
    body = _decode(entry)
    if isinstance(body, IdentityEntry) or body.number != number:
        raise KeyLogInvalid(f"entry {number} carries the number {body.number}")
    if body.previous != previous.hash:
        raise KeyLogInvalid(f"entry {number} does not follow entry {number - 1}")
    _check_signed(entry, state.root, number)
    match body:
        case CertifyEntry():
            key = _public(body.key, KeyKind.ORGANIZATION, KeyKind.NODE, KeyKind.USER)
            if key.id in state.certificates:
                raise KeyLogInvalid(f"entry {number} certifies a key a second time")
            state.certificates[key.id] = Certificate(key, body.subject, body.issued_at, body.not_after)
        case RevokeEntry():
            found = state.certificates.get(body.key_id)
            if found is None:
                raise KeyLogInvalid(f"entry {number} revokes a key that was never certified")
            if found.revoked_at is None:
                state.certificates[body.key_id] = Certificate(
                    found.key, found.subject, found.issued_at, found.not_after, body.issued_at
                )
        case RotateRootEntry():
            state.root = _public(body.root, KeyKind.ROOT)
