"""Known organizations: what this node or client has accepted of others' identities, kept locally.

An identity is recorded as *unverified* at first contact and marked verified by a person who compared the words. Every
later sight of it must continue what was seen: another identity, a shorter log or another history stops with an error.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from vprotocol.errors import ConfigInvalid, IdentityChanged, OrganizationUnknown, TrustError
from vprotocol.ids import Fingerprint
from vprotocol.keylog import KeyLog
from vprotocol.words import spoken
from vruntime.atomic import write_atomically
from vruntime.file_lock import locked


class TrustLevel(StrEnum):
    """How an identity came to be known; also the least level that a policy demands."""

    UNVERIFIED = "first-contact"
    VERIFIED = "verified"


@dataclass(frozen=True)
class Known:
    """One organization as this store knows it."""

    log: KeyLog
    level: TrustLevel
    first_seen: int  # unix seconds
    hub_id: int | None  # the hub's number for it

    @property
    def fingerprint(self) -> Fingerprint:
        return self.log.fingerprint

    @property
    def words(self) -> str:
        return spoken(self.log.fingerprint)


class TrustStore:
    """One file, replaced at every change, and read again when another program has replaced it. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._known: dict[Fingerprint, Known] = {}
        self._stamp: tuple[int, ...] | None = None
        self._read_if_changed()

    def accept(self, log: KeyLog, now: int, hub_id: int | None = None, own: bool = False) -> Known:
        """Record a log that was shown: as first contact, or as the continuation of what is known.

        :param own: it is this node's or user's own organization, whose identity came from its own files.
        :raises IdentityChanged: the hub shows another identity under a number that was seen, or another history.
        :raises KeyLogRolledBack: it is shorter than what was seen.
        """
        with self._changing():
            if hub_id is not None:
                self._check_number(hub_id, log)
            known = self._known.get(log.fingerprint)
            if known is None:
                level = TrustLevel.VERIFIED if own else TrustLevel.UNVERIFIED
                found = Known(log, level, now, hub_id)
            else:
                before = known.log
                log.check_continues(before.fingerprint, before.number, before.entries[-1].hash)
                if (head := log.head_body) is None or (
                    (seen := before.head_body) is not None
                    and log.number == before.number
                    and head.issued_at < seen.issued_at
                ):
                    log = before if log.number == before.number else log
                found = replace(known, log=log, hub_id=hub_id if hub_id is not None else known.hub_id)
            if found != known:
                self._known[log.fingerprint] = found
                self._write()
            return found

    def find(self, fingerprint: Fingerprint) -> Known | None:
        with self._lock:
            self._read_if_changed()
            return self._known.get(fingerprint)

    def get(self, fingerprint: Fingerprint, least: TrustLevel = TrustLevel.UNVERIFIED) -> Known:
        """:raises OrganizationUnknown: not in the store, or not at the level demanded."""
        known = self.find(fingerprint)
        if known is None:
            raise OrganizationUnknown(f"the organization {spoken(fingerprint)} has not been accepted here")
        if least is TrustLevel.VERIFIED and known.level is not TrustLevel.VERIFIED:
            raise OrganizationUnknown(f"the words of {known.log.name} ({known.words}) have not been compared yet")
        return known

    def all(self) -> list[Known]:
        with self._lock:
            self._read_if_changed()
            return sorted(self._known.values(), key=lambda known: (known.log.name, known.fingerprint))

    def mark_verified(self, fingerprint: Fingerprint) -> Known:
        """A person has compared the words."""
        with self._changing():
            known = replace(self.get(fingerprint), level=TrustLevel.VERIFIED)
            self._known[fingerprint] = known
            self._write()
            return known

    def forget(self, fingerprint: Fingerprint) -> None:
        """Its next sight is a first contact again."""
        with self._changing():
            if self._known.pop(fingerprint, None) is None:
                raise OrganizationUnknown()
            self._write()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Start from what the file says now, and let nobody else write until this change is written."""
        with self._lock, locked(self._path):
            self._read_if_changed()
            yield

    def _read_if_changed(self) -> None:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._known = {known.fingerprint: known for known in _read(self._path)} if stamp else {}
            self._stamp = stamp

    def _check_number(self, hub_id: int, log: KeyLog) -> None:
        for known in self._known.values():
            if known.hub_id == hub_id and known.fingerprint != log.fingerprint:
                raise IdentityChanged(
                    f"the hub now shows another identity for {known.log.name}. "
                    f"Known words: {known.words}. Shown words: {spoken(log.fingerprint)}.",
                    hint=f"Ask {known.log.name}, not the hub. If it did begin anew: `trust forget`, then verify.",
                    fields={"known": known.fingerprint, "shown": log.fingerprint},
                )

    def _write(self) -> None:
        document = [
            {
                "level": known.level.value,
                "first_seen": known.first_seen,
                "hub_id": known.hub_id,
                "key_log": known.log.to_wire(),
            }
            for known in sorted(self._known.values(), key=lambda known: (known.log.name, known.fingerprint))
        ]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps({"version": 1, "known": document}, indent=1).encode())
        self._stamp = _stamp(self._path)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What tells one version of a file from the next: every write makes a new file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> list[Known]:
    try:
        document: Any = json.loads(path.read_bytes())
        return [
            Known(
                KeyLog.from_wire(item["key_log"]),
                TrustLevel(item["level"]),
                int(item["first_seen"]),
                None if item["hub_id"] is None else int(item["hub_id"]),
            )
            for item in document["known"]
        ]
    except (ValueError, KeyError, TypeError, TrustError) as fault:
        raise ConfigInvalid(
            f"the trust store {path} is damaged: {fault}",
            hint="Restore it from a backup; without one, move it away and verify all organizations again.",
        ) from None
