"""How far the run is, for whoever watches it."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Reporter = Callable[[int], None]

_reporter: Reporter | None = None  # one run a process; nested runs of a test restore it


def progress(percent: float) -> None:
    """Say how far this run is, 0 to 100. Costs next to nothing, never fails, and does nothing outside a run."""
    if _reporter is not None and not math.isnan(percent):
        _reporter(int(min(max(percent, 0), 100)))


@contextmanager
def reporting_to(reporter: Reporter) -> Iterator[None]:
    global _reporter
    before, _reporter = _reporter, reporter
    try:
        yield
    finally:
        _reporter = before


class Throttled:
    """Passes on what is new, at most once a second; after one failure it stays silent for the rest of the run."""

    def __init__(self, send: Reporter, clock: Callable[[], float] = time.monotonic, interval_s: float = 1.0) -> None:
        self._send, self._clock, self._interval_s = send, clock, interval_s
        self._last_percent, self._last_time = -1, -math.inf
        self._broken = False

    def __call__(self, percent: int) -> None:
        is_due = percent == 100 or self._clock() - self._last_time >= self._interval_s
        if self._broken or percent == self._last_percent or not is_due:
            return
        self._last_percent, self._last_time = percent, self._clock()
        try:
            self._send(percent)
        except Exception as error:  # progress is a courtesy: whatever is wrong with it, the algorithm goes on
            self._broken = True
            print(f"progress is not reported any more: {type(error).__name__}", file=sys.stderr, flush=True)
