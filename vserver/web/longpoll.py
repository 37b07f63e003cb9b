"""Held requests: wait until something has happened, holding neither a database connection nor a thread's CPU.

A wake-up is never a message: whoever wakes looks into the database, the only truth. A topic is a word such as `node:3`
or `job:0af1...`. Listen first, then look, then wait: what happens in between is not lost.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.orm import Session

from vruntime.clock import Clock, Deadline
from vserver.db import after_commit

Answer = TypeVar("Answer")


class Ear:
    """One listener. `wait` returns as soon as one of its topics was called since the last `wait`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard = threading.Event()

    def wait(self, deadline: Deadline) -> bool:
        """True: something was called. False: the deadline has passed."""
        heard = self._clock.wait(self._heard, deadline.remaining_s())
        self._heard.clear()
        return heard

    def call(self) -> None:
        self._heard.set()


class Signals:
    """Wake-up calls inside one process, for threads and greenlets alike."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ears: dict[str, set[Ear]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def closed(self) -> bool:
        """The hub stops: held requests answer now."""
        return self._closed

    def notify(self, *topics: str) -> None:
        """Wake everybody who listens to one of `topics`."""
        with self._lock:
            called = {ear for topic in topics for ear in self._ears.get(topic, ())}
        for ear in called:
            ear.call()

    def notify_after_commit(self, session: Session, *topics: str) -> None:
        """Wake listeners when the session's changes are there to be seen, and only then."""
        after_commit(session, lambda: self.notify(*topics))

    @contextmanager
    def listen(self, topics: Iterable[str]) -> Iterator[Ear]:
        """An ear that hears every call to `topics` from now until the end of the block."""
        ear, topics = Ear(self._clock), tuple(topics)
        with self._lock:
            for topic in topics:
                self._ears.setdefault(topic, set()).add(ear)
        try:
            yield ear
        finally:
            with self._lock:
                self._forget(ear, topics)

    def wait(self, topics: Iterable[str], deadline: Deadline) -> bool:
        """Wait for the next call to one of `topics`. Use `hold` when there is something to look at first."""
        with self.listen(topics) as ear:
            return ear.wait(deadline)

    def hold(self, topics: Iterable[str], deadline: Deadline, look: Callable[[], Answer | None]) -> Answer | None:
        """Call `look` until it answers something, again after each wake-up.

        None: the deadline has passed, or the hub stops.
        `look` opens and closes its own session: nothing of the database is held in between.
        """
        with self.listen(topics) as ear:
            while (answer := look()) is None:
                if self._closed or deadline.passed() or not ear.wait(deadline):
                    return look() if not self._closed else None
            return answer

    def close(self) -> None:
        """End every held request, and let none begin."""
        with self._lock:
            self._closed = True
            ears = {ear for listening in self._ears.values() for ear in listening}
        for ear in ears:
            ear.call()

    def listeners(self) -> int:
        """How many requests are held just now."""
        with self._lock:
            return len({ear for listening in self._ears.values() for ear in listening})

    def _forget(self, ear: Ear, topics: tuple[str, ...]) -> None:
        for topic in topics:
            listening = self._ears.get(topic)
            if listening is not None:
                listening.discard(ear)
                if not listening:
                    del self._ears[topic]
