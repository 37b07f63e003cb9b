"""Others' identities, fetched from the hub and believed only as far as the trust store and the signatures go."""

import threading
from collections.abc import Iterable

from vprotocol.errors import (
    BadMessage,
    DeadlineExceeded,
    HeadTooOld,
    InternalError,
    KeyUnknown,
    OrganizationUnknown,
    RateLimited,
    Unavailable,
)
from vprotocol.ids import Fingerprint, KeyId
from vprotocol.keylog import DEFAULT_MAX_HEAD_AGE_S, Certificate, KeyLog
from vprotocol.keys import KeyKind, PublicKey
from vprotocol.messages.organization import Organization
from vprotocol.messages.wire import Page
from vprotocol.words import spoken
from vruntime.clock import Clock
from vruntime.http import Http, UnexpectedAnswer, Unreachable
from vruntime.trust_store import Known, TrustLevel, TrustStore

FRESH_FOR_S = 60.0  # a log is asked for again after this time


class Directory:
    """Key logs by fingerprint. Thread-safe; asks the hub at most once a minute for each organization, and at once when
    somebody uses a key that the cached log does not hold."""

    def __init__(
        self,
        http: Http,
        store: TrustStore,
        clock: Clock,
        *,
        least: TrustLevel = TrustLevel.UNVERIFIED,
        max_head_age_s: int = DEFAULT_MAX_HEAD_AGE_S,
    ) -> None:
        self.store = store
        self._http, self._clock = http, clock
        self._least, self._max_head_age_s = least, max_head_age_s
        self._asked_at: dict[Fingerprint, float] = {}
        self._lock = threading.Lock()

    def known(self, fingerprint: Fingerprint) -> Known:
        """The organization, with a log whose head is fresh.

        :raises OrganizationUnknown: unknown to the hub, or not at the level demanded here.
        :raises HeadTooOld, IdentityChanged, KeyLogInvalid: what the hub shows cannot be believed.
        """
        known = self.store.find(fingerprint)
        asked_at = self._asked_at.get(fingerprint)
        if known is None or asked_at is None or self._clock.monotonic() - asked_at > FRESH_FOR_S:
            try:
                self._refresh(fingerprint)
            except (Unreachable, Unavailable, DeadlineExceeded, InternalError, RateLimited):
                if known is None:
                    raise  # else what was seen stands as long as its head is fresh: a hub may be away for a while
        known = self.store.get(fingerprint, self._least)
        known.log.check_fresh(int(self._clock.now()), self._max_head_age_s)
        return known

    def certificate(self, fingerprint: Fingerprint, key_id: KeyId, kind: KeyKind) -> Certificate:
        """:raises KeyUnknown, KeyRevoked: also after the newest log was fetched."""
        now = int(self._clock.now())
        try:
            return self.known(fingerprint).log.certificate(key_id, kind, now)
        except (KeyUnknown, HeadTooOld):
            self._refresh(fingerprint)
            return self.known(fingerprint).log.certificate(key_id, kind, now)

    def node_key(self, fingerprint: Fingerprint, key_id: KeyId) -> PublicKey:
        return self.certificate(fingerprint, key_id, KeyKind.NODE).key

    def user_key(self, fingerprint: Fingerprint, key_id: KeyId) -> PublicKey:
        return self.certificate(fingerprint, key_id, KeyKind.USER).key

    def organization_key(self, fingerprint: Fingerprint) -> PublicKey:
        """The key to seal for."""
        return self.known(fingerprint).log.organization_key(int(self._clock.now()))

    def weakest(self, fingerprints: Iterable[Fingerprint]) -> TrustLevel:
        """The weakest level among these organizations."""
        levels = {self.known(fingerprint).level for fingerprint in fingerprints}
        return TrustLevel.UNVERIFIED if TrustLevel.UNVERIFIED in levels else TrustLevel.VERIFIED

    def _refresh(self, fingerprint: Fingerprint) -> None:
        with self._lock:
            number = self._number(fingerprint)
            log = KeyLog.from_wire(self._http.get(f"/organization/{number}/public_key"))
            if log.fingerprint != fingerprint:
                raise OrganizationUnknown(f"the hub shows another identity instead of {spoken(fingerprint)}")
            self.store.accept(log, int(self._clock.now()), number)
            self._asked_at[fingerprint] = self._clock.monotonic()

    def _number(self, fingerprint: Fingerprint) -> int:
        """The hub's number for the organization."""
        answer = self._http.get("/organization", params={"fingerprint": fingerprint})
        try:
            page = Page[Organization].from_wire(answer)
        except BadMessage as fault:
            raise UnexpectedAnswer(f"The hub's list of organizations is not readable: {fault}") from None
        found = next((one for one in page.data if one.fingerprint == fingerprint), None)
        if found is None:
            raise OrganizationUnknown(f"the hub knows no organization {spoken(fingerprint)}")
        return found.id
