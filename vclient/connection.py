"""One researcher at one hub: the door to the network, the keys, and what is known of others."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from vclient.api import collaboration as collaboration_api
from vclient.api import organization as organization_api
from vclient.api import token as token_api
from vclient.errors import MemberNotReady
from vclient.members import AcceptedMembers, Members
from vclient.sealing import UserKey
from vclient.settings import ClientSettings, Places
from vclient.tokens import Tokens
from vprotocol.errors import NotFound, UsageError
from vprotocol.ids import HEX_128, HEX_256
from vprotocol.messages.collaboration import Collaboration
from vprotocol.messages.organization import Organization
from vprotocol.messages.token import Whoami
from vprotocol.plan import Party
from vruntime.clock import Clock
from vruntime.directory import Directory
from vruntime.http import Http
from vruntime.trust_store import TrustStore

REMEMBERED_S = 60.0  # lists of the hub that each submission needs
JUST_NOW_S = 0.5
Found = TypeVar("Found")


@dataclass
class _Remembered:
    value: object
    asked_at_s: float


class Connection:
    """What all parts of a client share. Thread-safe."""

    def __init__(self, http: Http, settings: ClientSettings, places: Places, clock: Clock) -> None:
        self.http, self.settings, self.places, self.clock = http, settings, places, clock
        self.tokens = Tokens(places.tokens)
        self.tokens.trade = lambda refresh_token: token_api.refresh(http, refresh_token)
        http.tokens = self.tokens
        self._remembered: dict[str, _Remembered] = {}
        self._lock = threading.Lock()

    # --- keys and trust -----------------------------------------------------------------------------------------
    @cached_property
    def key(self) -> UserKey:
        """:raises NoUserKey: there is none in this client's folder."""
        return UserKey.read(self.places.user_key)

    @cached_property
    def store(self) -> TrustStore:
        return TrustStore(self.places.trust_store)

    @cached_property
    def directory(self) -> Directory:
        return Directory(
            self.http,
            self.store,
            self.clock,
            least=self.settings.trust,
            max_head_age_s=self.settings.max_key_log_age_s,
        )

    @cached_property
    def members(self) -> Members:
        return Members(
            self.store,
            AcceptedMembers(self.places.members),
            lambda number: organization_api.key_log(self.http, number),
            self.clock,
            first_contact=self.settings.first_contact,
        )

    # --- lists of the hub -----------------------------------------------------------------------------------------
    def forget_lists(self) -> bool:
        """Ask the hub again next time; whether anything older than this very moment was remembered."""
        with self._lock:
            now = self.clock.monotonic()
            old = any(now - one.asked_at_s > JUST_NOW_S for one in self._remembered.values())
            self._remembered.clear()
            return old

    def whoami(self) -> Whoami:
        return self._recall("whoami", lambda: token_api.whoami(self.http))

    def collaborations(self) -> tuple[Collaboration, ...]:
        return self._recall("collaborations", lambda: tuple(collaboration_api.collaborations(self.http)))

    def organizations(self, collaboration: Collaboration | None = None) -> tuple[Organization, ...]:
        number = None if collaboration is None else collaboration.id
        return self._recall(
            f"organizations {number}",
            lambda: tuple(organization_api.organizations(self.http, collaboration_id=number)),
        )

    def collaboration(self, wanted: str | int | None) -> Collaboration:
        """By number, title or 128-bit name; without any the only one.

        :raises NotFound, UsageError: none, or several. CollaborationChanged: not the one that was known.
        """
        known = self.collaborations()
        found = [one for one in known if wanted is None or _is_called(one, wanted)]
        listed = ", ".join(f"{one.display_name} ({one.id})" for one in known) or "none"
        if not found:
            raise NotFound(f"there is no collaboration {wanted or 'yet'}", hint=f"You see: {listed}.")
        if len(found) > 1:
            raise UsageError("several collaborations are meant", hint=f"Name one by its number: {listed}.")
        by_name = isinstance(wanted, str) and HEX_128.fullmatch(wanted) is not None
        self.members.accepted.check(found[0], renamed=by_name)
        return found[0]

    def organization(self, wanted: str | int, among: Iterable[Organization]) -> Organization:
        """By number, name or fingerprint.

        :raises NotFound, UsageError: none, or several.
        """
        candidates = list(among)
        found = [one for one in candidates if _is_organization(one, wanted)]
        listed = ", ".join(f"{one.name} ({one.id})" for one in candidates) or "none"
        if not found:
            raise NotFound(f"there is no organization {wanted} here", hint=f"You see: {listed}.")
        if len(found) > 1:
            raise UsageError(f"several organizations are called {wanted}", hint=f"Name one by its number: {listed}.")
        return found[0]

    def issuer(self, collaboration: Collaboration) -> Party:
        """Who signs: this device, of the user's own organization.

        :raises KeyUnknown: the organization has not certified this key. NewMember: it was not accepted here.
        """
        home = self.whoami().organization
        if home is None:
            raise UsageError(
                "this user belongs to no organization and cannot submit jobs",
                hint="An administrator can move the user into an organization.",
            )
        number = int(home.id)
        listed = next((one for one in self.organizations(collaboration) if one.id == number), None)
        own = listed or organization_api.organization(self.http, number)
        if own.fingerprint is None:
            raise MemberNotReady(f"your organization {own.name} has not published its identity yet")
        self.members.accepted_of(collaboration, [own], everybody=True)
        self.directory.user_key(own.fingerprint, self.key.id)
        return Party(organization=own.fingerprint, key=self.key.id)

    def _recall(self, name: str, ask: Callable[[], Found]) -> Found:
        with self._lock:
            known = self._remembered.get(name)
        now = self.clock.monotonic()
        if known is not None and now - known.asked_at_s <= REMEMBERED_S:
            return known.value  # type: ignore[return-value]
        value = ask()
        with self._lock:
            self._remembered[name] = _Remembered(value, now)
        return value


def _is_called(collaboration: Collaboration, wanted: str | int) -> bool:
    if isinstance(wanted, int):
        return collaboration.id == wanted
    if HEX_128.fullmatch(wanted):
        return collaboration.name == wanted
    return wanted == collaboration.display_name or (wanted.isdecimal() and int(wanted) == collaboration.id)


def _is_organization(organization: Organization, wanted: str | int) -> bool:
    if isinstance(wanted, int):
        return organization.id == wanted
    if HEX_256.fullmatch(wanted):
        return organization.fingerprint == wanted
    return wanted == organization.name or (wanted.isdecimal() and int(wanted) == organization.id)
