"""The node's ear: one held request to the hub at a time, which brings runs, renews leases and tells what to stop.

While a sync is held that asked for nothing (all places taken), a place may become free: `nudge` then sends a newer
sync, and the hub ends the older one.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vnode.leases import Leases, Room
from vnode.reporter import Hub
from vprotocol.errors import VestalError
from vprotocol.messages.sync import Accepts, Assignment, SyncAnswer, SyncRequest
from vruntime.clock import Clock

log = logging.getLogger(__name__)

About = TypeVar("About")
FIRST_WAIT_S = 0.0  # the first sync answers at once: it tells how long later ones may be held
LONGEST_WAIT_S = 60.0  # what a request may ask for, whatever the hub suggests
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True)
class Ears:
    """What the poller asks and whom it tells."""

    room: Callable[[], Room]  # places for further runs
    take: Callable[[Assignment], None]
    cancel: Callable[[int], None]
    open_jobs: Callable[[], Sequence[str]]
    end_job: Callable[[str], None]


class Poller:
    """Runs in threads of its own from `start` to `stop`."""

    def __init__(
        self, hub: Hub, leases: Leases, ears: Ears, clock: Clock, *, tags: Sequence[str], version: str
    ) -> None:
        self._hub, self._leases, self._ears, self._clock = hub, leases, ears, clock
        self._tags, self._version = tuple(tags), version
        self._session = secrets.token_hex(16)
        self._lock = threading.Lock()
        self._turn = 0
        self._asked_for = Room(0, 0)
        self._wait_s = FIRST_WAIT_S
        self._stopping = threading.Event()
        self._draining = threading.Event()
        self._threads: set[threading.Thread] = set()
        self.connected = threading.Event()

    def start(self) -> None:
        self._begin_turn()

    def nudge(self) -> None:
        """A place has become free. Only a held sync that asked for none of its kind needs to know."""
        room = self._ears.room()
        with self._lock:
            needed = room.opens(self._asked_for) and not self._stopping.is_set()
        if needed:
            self._begin_turn()

    def drain(self) -> None:
        """Ask for no further runs; leases go on being renewed."""
        self._draining.set()
        self._begin_turn()

    def stop(self, timeout_s: float) -> None:
        """Ask no more. A held request ends with the process at the latest."""
        self._stopping.set()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout_s)

    def _begin_turn(self) -> None:
        with self._lock:
            self._turn += 1
            thread = threading.Thread(target=self._listen, args=(self._turn,), name=f"sync-{self._turn}", daemon=True)
            self._threads.add(thread)
            thread.start()  # with the lock held: nobody joins a thread that has not begun

    def _listen(self, turn: int) -> None:
        failures = 0
        try:
            while self._is_current(turn):
                try:
                    answer = self._hub.sync(self._request())
                except Exception as error:  # the top of a loop: a node that stops listening is lost
                    failures += 1
                    self.connected.clear()
                    _complain(error)
                    self._clock.wait(self._stopping, _pause_s(failures))
                    continue
                if self._stopping.is_set():
                    return  # the hub hands out again what this answer brought
                failures = 0
                self.connected.set()
                self._wait_s = min(max(0.0, answer.settings.wait_s), LONGEST_WAIT_S)
                self._tell(answer)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _is_current(self, turn: int) -> bool:
        with self._lock:
            return turn == self._turn and not self._stopping.is_set()

    def _request(self) -> SyncRequest:
        room = Room(0, 0) if self._draining.is_set() else self._ears.room()
        with self._lock:
            self._asked_for = room
        return SyncRequest(
            session=self._session,
            leases=self._leases.listed(),
            want=room.any,
            want_subtasks=room.subtasks,
            accepts=Accepts(tags=self._tags),
            wait_s=self._wait_s,
            version=self._version,
            jobs=tuple(self._ears.open_jobs()),
        )

    def _tell(self, answer: SyncAnswer) -> None:
        """Each on its own: what goes wrong with one must not hide the others."""
        for assignment in answer.runs:
            _attempt(self._ears.take, assignment)
        for run in answer.cancel:
            _attempt(self._ears.cancel, run)
        for job in answer.ended_jobs:
            _attempt(self._ears.end_job, job)


def _attempt(act: Callable[[About], None], about: About) -> None:
    try:
        act(about)
    except Exception as error:  # the hub tells it again with its next answer
        _complain(error)


def _complain(error: Exception) -> None:
    if isinstance(error, VestalError):
        log.warning("a sync went wrong: %s", error)
    else:
        log.error("a sync met a mistake of the node", exc_info=error)


def _pause_s(failures: int) -> float:
    """Exponential, with jitter: a thousand nodes must not come back in the same second."""
    longest = min(LONGEST_PAUSE_S, 0.5 * 2 ** min(failures, 10))
    return longest * (0.5 + secrets.randbelow(1000) / 2000)
