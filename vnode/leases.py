"""The runs that this node holds at this moment, shared by poller and runner."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vprotocol.messages.sync import Assignment, HeldLease


@dataclass
class Lease:
    """One held run. `token` is the newest that the hub gave for it; results carry the one they were made under."""

    run: int
    job: str
    token: str
    progress: int | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], None] | None = None  # ends the sandbox, once there is one


class Leases:
    """Thread-safe. A run is in here from the moment it is taken until its result is acknowledged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, Lease] = {}

    def take(self, assignment: Assignment) -> Lease | None:
        """A new lease; none if the run is held already (a re-delivery, or a new lease for what still executes here)."""
        with self._lock:
            held = self._held.get(assignment.run)
            if held is not None:
                held.token = assignment.lease_token
                return None
            lease = Lease(assignment.run, assignment.job, assignment.lease_token)
            self._held[assignment.run] = lease
            return lease

    def drop(self, run: int) -> None:
        with self._lock:
            self._held.pop(run, None)

    def cancel(self, run: int) -> None:
        """Stop it: the hub no longer wants it."""
        with self._lock:
            lease = self._held.get(run)
        if lease is not None:
            lease.cancelled.set()
            if lease.stop is not None:
                lease.stop()

    def progress(self, run: int, percent: int) -> None:
        with self._lock:
            if (lease := self._held.get(run)) is not None:
                lease.progress = percent

    def get(self, run: int) -> Lease | None:
        with self._lock:
            return self._held.get(run)

    def listed(self) -> tuple[HeldLease, ...]:
        """As a sync reports them."""
        with self._lock:
            return tuple(HeldLease(run=x.run, token=x.token, progress=x.progress) for x in self._held.values())

    def jobs(self) -> frozenset[str]:
        """Jobs that have a run here at this moment."""
        with self._lock:
            return frozenset(lease.job for lease in self._held.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._held)
