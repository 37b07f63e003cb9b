"""Whom this client works with: the members of each collaboration that were accepted here, and who they are.

The hub's list says who could be asked. Who is asked is decided here: a member that was not accepted stays out, and is
shown with its words until somebody accepts it.
"""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vclient.errors import CollaborationChanged, MemberNotReady, NewMember
from vprotocol.errors import ConfigInvalid, IdentityChanged
from vprotocol.ids import Fingerprint
from vprotocol.keylog import KeyLog
from vprotocol.messages.collaboration import Collaboration
from vprotocol.messages.organization import Organization
from vprotocol.plan import PlanOrganization
from vprotocol.words import spoken
from vruntime.atomic import make_private_folder, write_atomically
from vruntime.clock import Clock
from vruntime.trust_store import TrustStore

FetchLog = Callable[[int], KeyLog]  # an organization's key log, by the hub's number


@dataclass(frozen=True)
class MemberView:
    """One organization of the hub's list, as this client sees it."""

    id: int
    name: str
    fingerprint: Fingerprint | None
    trust: str  # verified, unverified, new (not accepted here) or not ready (no identity yet)

    @property
    def words(self) -> str | None:
        return None if self.fingerprint is None else spoken(self.fingerprint)

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "words": self.words,
            "trust": self.trust,
        }


class AcceptedMembers:
    """One file: what each collaboration was called, and who was accepted into it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = _read(path) if path.exists() else {}

    def of(self, collaboration: str) -> frozenset[Fingerprint]:
        with self._lock:
            return frozenset(self._known.get(collaboration, {}).get("members", ()))

    def accept(self, collaboration: Collaboration, fingerprint: Fingerprint, number: int, called: str) -> None:
        with self._lock:
            known = self._pinned(collaboration)
            if fingerprint not in known["members"]:
                known["members"].append(fingerprint)
            known["called"][fingerprint] = [number, called]
            self._write()

    def check_member(self, collaboration: Collaboration, fingerprint: Fingerprint, number: int, called: str) -> None:
        """Is this member still listed under the number and name under which it was accepted? People name each other by
        these, and would ask somebody else if the hub could exchange them.

        :raises IdentityChanged: no.
        """
        with self._lock:
            before = self._known.get(collaboration.name, {}).get("called", {}).get(fingerprint)
        if before is not None and before != [number, called]:
            raise IdentityChanged(
                f"the hub now lists {before[1]} ({before[0]}), whose words are {spoken(fingerprint)}, "
                f"as {called} ({number})",
                hint="If it was renamed, forget it and accept it again: `trust forget`, then `trust accept`.",
                fields={"fingerprint": fingerprint},
            )

    def forget(self, fingerprint: Fingerprint) -> None:
        """Out of every collaboration."""
        with self._lock:
            for known in self._known.values():
                known["members"] = [one for one in known["members"] if one != fingerprint]
                known["called"].pop(fingerprint, None)
            self._write()

    def check(self, collaboration: Collaboration, *, renamed: bool = False) -> None:
        """Is this the collaboration that was known by this number and title?

        :param renamed: a new title is right; the caller named the collaboration by its 128-bit name.
        :raises CollaborationChanged: the hub shows another one in its place.
        """
        with self._lock:
            for name, known in self._known.items():
                if known["hub_id"] == collaboration.id and name != collaboration.name:
                    raise CollaborationChanged(
                        f"the hub now shows another collaboration as number {collaboration.id} "
                        f"({known['display_name']})",
                        fields={"known": name, "shown": collaboration.name},
                    )
            pinned = self._known.get(collaboration.name)
            if pinned is not None and pinned["display_name"] != collaboration.display_name:
                if not renamed:
                    raise CollaborationChanged(
                        f"the collaboration {pinned['display_name']} is now called {collaboration.display_name}",
                        fields={"name": collaboration.name},
                    )
                pinned["display_name"] = collaboration.display_name
                self._write()

    def _pinned(self, collaboration: Collaboration) -> dict[str, Any]:
        return self._known.setdefault(
            collaboration.name,
            {"hub_id": collaboration.id, "display_name": collaboration.display_name, "members": [], "called": {}},
        )

    def _write(self) -> None:
        make_private_folder(self._path.parent)
        document = {"version": 1, "collaborations": self._known}
        write_atomically(self._path, json.dumps(document, indent=1, ensure_ascii=False).encode())


class Members:
    """The hub's list and the accepted list, held against each other."""

    def __init__(
        self, store: TrustStore, accepted: AcceptedMembers, fetch_log: FetchLog, clock: Clock, *, first_contact: bool
    ) -> None:
        self.store, self.accepted = store, accepted
        self._fetch_log, self._clock, self._first_contact = fetch_log, clock, first_contact

    def views(
        self, organizations: Sequence[Organization], collaboration: Collaboration | None = None
    ) -> list[MemberView]:
        """How each organization of a list is known here; nobody is accepted by looking."""
        return [self._view(one, collaboration) for one in organizations]

    def accepted_of(
        self, collaboration: Collaboration, organizations: Sequence[Organization], *, everybody: bool
    ) -> tuple[PlanOrganization, ...]:
        """The accepted members, in the hub's order.

        :param everybody: all of the hub's list must be among them.
        :raises NewMember, MemberNotReady: somebody is not, and the settings do not accept at first contact.
        :raises IdentityChanged: the hub lists a member under another's name or number.
        """
        found = []
        for organization in organizations:
            view = self._view(organization, collaboration)
            if view.trust == "new" and self._first_contact:
                self.accept(collaboration, organization)
            elif view.trust in ("new", "not ready"):
                if everybody:
                    raise _missing(view)
                continue
            assert organization.fingerprint is not None, "without one it is not ready"
            self.accepted.check_member(collaboration, organization.fingerprint, organization.id, organization.name)
            found.append(
                PlanOrganization(fingerprint=organization.fingerprint, id=organization.id, name=organization.name)
            )
        return tuple(found)

    def accept(self, collaboration: Collaboration, organization: Organization) -> MemberView:
        """Record its identity (as unverified) and let it into plans of this collaboration.

        :raises IdentityChanged, KeyLogInvalid: what the hub shows cannot be believed.
        """
        if organization.fingerprint is None:
            raise _missing(self._view(organization, collaboration))
        log = self._fetch_log(organization.id)
        if log.fingerprint != organization.fingerprint:
            raise IdentityChanged(
                f"the hub lists {organization.name} with one identity and shows another",
                fields={"known": organization.fingerprint, "shown": log.fingerprint},
            )
        self.store.accept(log, int(self._clock.now()), organization.id)
        self.accepted.accept(collaboration, log.fingerprint, organization.id, organization.name)
        return self._view(organization, collaboration)

    def _view(self, organization: Organization, collaboration: Collaboration | None) -> MemberView:
        fingerprint = organization.fingerprint
        if fingerprint is None:
            return MemberView(organization.id, organization.name, None, "not ready")
        known = self.store.find(fingerprint)
        if known is None or (collaboration is not None and fingerprint not in self.accepted.of(collaboration.name)):
            return MemberView(organization.id, organization.name, fingerprint, "new")
        level = "verified" if known.level.value == "verified" else "unverified"
        return MemberView(organization.id, organization.name, fingerprint, level)


def _missing(view: MemberView) -> NewMember | MemberNotReady:
    if view.fingerprint is None:
        return MemberNotReady(f"{view.name} has not published its identity yet")
    return NewMember(
        f"{view.name} was not accepted here. Its words: {view.words}",
        fields={"organization": view.id, "fingerprint": view.fingerprint, "words": view.words},
    )


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(path.read_bytes())
        return {
            str(name): {
                "hub_id": int(known["hub_id"]),
                "display_name": str(known["display_name"]),
                "members": [str(one) for one in known["members"]],
                "called": {
                    str(one): [int(number), str(name)] for one, (number, name) in known.get("called", {}).items()
                },
            }
            for name, known in document["collaborations"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise ConfigInvalid(
            f"the list of accepted members {path} is damaged ({type(fault).__name__})",
            hint="Restore it from a backup; without one, move it away and accept the members again.",
        ) from None
