"""Signed documents as the hub reads them. Parsing and checking costs milliseconds, so what never changes is kept."""

from functools import lru_cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from vprotocol.errors import KeyUnknown
from vprotocol.ids import KeyId
from vprotocol.keylog import KeyLog
from vprotocol.keys import KeyKind, PublicKey
from vprotocol.paths import TaskPath
from vprotocol.plan import SignedPlan
from vserver.jobs.model import Job
from vserver.organizations.model import Organization

_KEPT = 256


class _Kept(dict[Any, Any]):
    """The newest few, by a key that names the content."""

    def keep(self, key: Any, value: Any) -> Any:
        while len(self) >= _KEPT:
            self.pop(next(iter(self)), None)
        self[key] = value
        return value


_plans = _Kept()
_key_logs = _Kept()


def plan_of(session: Session, job_id: str, plan_hash: str) -> SignedPlan:
    """A stored plan; its signature was checked when it was submitted."""
    found = _plans.get(plan_hash)
    if found is None:
        wire = session.scalar(select(Job.plan).where(Job.id == job_id))
        found = _plans.keep(plan_hash, SignedPlan.from_wire(wire))
    return found


def remember_plan(plan: SignedPlan) -> None:
    _plans.keep(plan.hash, plan)


def key_log(session: Session, organization_id: int) -> KeyLog:
    """The verified key log of an organization.

    :raises KeyUnknown: it has none yet.
    """
    row = session.execute(
        select(Organization.name, Organization.fingerprint, Organization.key_log_number).where(
            Organization.id == organization_id
        )
    ).one()
    key = (row.fingerprint, row.key_log_number)
    if row.fingerprint is None:
        raise KeyUnknown(f"{row.name} has no identity yet.", hint="Its node uploads one when it starts.")
    found = _key_logs.get(key)
    if found is None:
        wire = session.scalar(select(Organization.key_log).where(Organization.id == organization_id))
        log = KeyLog.from_wire(wire)
        found = _key_logs.keep((log.fingerprint, log.number), log)
    return found


def signer(session: Session, organization_id: int, key_id: KeyId, kind: KeyKind, now: float) -> PublicKey:
    """The certified key of an organization that has this id.

    :raises KeyUnknown: not in its key log as a key of this kind. :raises KeyRevoked: it was, and has ended.
    """
    return key_log(session, organization_id).certificate(key_id, kind, int(now)).key


@lru_cache(maxsize=1024)
def path_of(text: str) -> TaskPath:
    return TaskPath.parse(text)
