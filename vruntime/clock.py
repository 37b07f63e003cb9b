"""Time is passed in: nothing in Vestal asks the machine for it except through a `Clock`."""

import threading
import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time, elapsed time and waiting, all in seconds."""

    def now(self) -> float:
        """Unix seconds; may jump when somebody sets the machine's clock."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never goes back, the one to measure deadlines with."""

    def sleep(self, duration_s: float) -> None:
        """Return after `duration_s` (at once if it is not positive)."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Return True as soon as `event` is set, False after `timeout_s` without it."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, duration_s: float) -> None:
        if duration_s > 0:
            time.sleep(duration_s)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(max(0.0, timeout_s))


class ManualClock:
    """A clock that a test moves.

    By default it moves itself: whoever sleeps wakes at once and finds that the time has passed (`naps` tells how
    often and how long). With `moves_itself=False` sleepers block until another thread calls `advance`.
    """

    def __init__(self, now: float = 1_700_000_000.0, *, moves_itself: bool = True) -> None:
        self.naps: list[float] = []
        self._now = now
        self._elapsed_s = 0.0
        self._moves_itself = moves_itself
        self._changed = threading.Condition()
        self._waiting = 0

    def now(self) -> float:
        with self._changed:
            return self._now

    def monotonic(self) -> float:
        with self._changed:
            return self._elapsed_s

    def set_now(self, now: float) -> None:
        """Jump the wall clock, as an operator would; elapsed time does not notice."""
        with self._changed:
            self._now = now

    def advance(self, duration_s: float) -> None:
        """Let `duration_s` pass and wake whoever waited for it."""
        if duration_s < 0:
            raise ValueError("time does not go back; use set_now to move the wall clock")
        with self._changed:
            self._now += duration_s
            self._elapsed_s += duration_s
            self._changed.notify_all()

    def await_waiters(self, count: int = 1, *, real_timeout_s: float = 10.0) -> None:
        """Block (in real time) until `count` threads sleep on this clock, so that a test may move it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting >= count, real_timeout_s):
                raise TimeoutError(f"{self._waiting} of {count} threads are waiting after {real_timeout_s} s")

    def sleep(self, duration_s: float) -> None:
        self.wait(threading.Event(), duration_s)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if event.is_set():
            return True
        with self._changed:
            self.naps.append(timeout_s)
        if self._moves_itself:
            self.advance(max(0.0, timeout_s))
            return event.is_set()
        return self._wait_for_others(event, timeout_s)

    def _wait_for_others(self, event: threading.Event, timeout_s: float) -> bool:
        with self._changed:
            until = self._elapsed_s + timeout_s
            self._waiting += 1
            self._changed.notify_all()
            try:
                while self._elapsed_s < until and not event.is_set():
                    # An Event cannot notify this condition, so look at it every few milliseconds.
                    self._changed.wait(0.005)
            finally:
                self._waiting -= 1
        return event.is_set()


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment after which nobody waits any longer; share one among all the steps of an undertaking."""

    clock: Clock
    at_s: float

    @classmethod
    def after(cls, clock: Clock, duration_s: float) -> "Deadline":
        return cls(clock, clock.monotonic() + duration_s)

    def remaining_s(self) -> float:
        return max(0.0, self.at_s - self.clock.monotonic())

    def passed(self) -> bool:
        return self.remaining_s() <= 0.0
