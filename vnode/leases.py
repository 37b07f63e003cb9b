"""The runs that this node holds at this moment, shared by poller and runner."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from vprotocol.messages.sync import Assignment, HeldLease


@dataclass(frozen=True)
class Room:
    """Places for further runs: for any, and beyond that for subtasks only."""

    any: int
    subtasks: int

    def opens(self, before: "Room") -> bool:
        """Whether there is room of a kind of which there was none before."""
        return (self.any > 0 and before.any == 0) or (self.subtasks > 0 and before.subtasks == 0)


@dataclass
class Lease:
    """One held run. `token` is the newest that the hub gave for it; results carry the one they were made under."""

    run: int
    job: str
    token: str
    progress: int | None = None
    children: set[int] = field(default_factory=set)  # its unfinished subtasks: it waits and uses next to nothing
    cancelled: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], None] | None = None  # ends the sandbox, once there is one
    resting: bool = False  # it has ended; its result waits in the outbox, and it takes no place


class Leases:
    """Thread-safe. A run is in here from the moment it is taken until its result is acknowledged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, Lease] = {}

    def take(self, assignment: Assignment) -> Lease | None:
        """A new lease; none if the run is held already (a re-delivery, or a new lease for what still executes here)."""
        with self._lock:
            held = self._held.get(assignment.run)
            if held is not None and not held.resting:  # a hub that hands out a resting run wants its result now
                held.token = assignment.lease_token
                return None
            lease = Lease(assignment.run, assignment.job, assignment.lease_token)
            self._held[assignment.run] = lease
            return lease

    def drop(self, run: int) -> None:
        with self._lock:
            self._held.pop(run, None)

    def rest(self, run: int) -> None:
        """It has ended, and the hub has not taken its result yet: the lease is renewed, else it is handed out again."""
        with self._lock:
            if (lease := self._held.get(run)) is not None:
                lease.resting = True

    def cancel(self, run: int) -> None:
        """Stop it: the hub no longer wants it."""
        with self._lock:
            lease = self._held.get(run)
        if lease is not None:
            lease.cancelled.set()
            if (stop := lease.stop) is not None:
                stop()

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

    def asked(self, run: int, task: int) -> None:
        """The run has asked others, and waits for them."""
        with self._lock:
            if (lease := self._held.get(run)) is not None:
                lease.children.add(task)

    def answered(self, run: int, task: int) -> None:
        with self._lock:
            if (lease := self._held.get(run)) is not None:
                lease.children.discard(task)

    def room(self, max_runs: int) -> Room:
        """Runs that wait for others leave their place to subtasks, else functions that ask their own node would wait
        for each other for ever. Twice `max_runs` are held at most."""
        with self._lock:
            awake = [lease for lease in self._held.values() if not lease.resting]
        held, busy = len(awake), sum(1 for lease in awake if not lease.children)
        free = max(0, max_runs - held)
        return Room(free, max(0, min(max_runs - busy, 2 * max_runs - held) - free))

    def __len__(self) -> int:
        """Those that take a place."""
        with self._lock:
            return sum(1 for lease in self._held.values() if not lease.resting)
