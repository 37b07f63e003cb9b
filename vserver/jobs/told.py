"""What nodes were told lately, so that an answer that says nothing new is held and not repeated at once.

Only a memory against repeating: when it is lost, a node is told something twice.
"""

import threading
from collections.abc import Iterable

from vruntime.clock import Clock

REPEAT_S = 5.0  # what was told and does not show is told again, at the earliest after this


class Told:
    """What nodes were told already, so that an answer that says nothing new is held and not repeated at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._at_s: dict[tuple[int, object], float] = {}

    def is_news(self, node_id: int, things: Iterable[object]) -> bool:
        """Whether one of these was not told to this node lately; from now on all of them were."""
        now_s = self._clock.monotonic()
        with self._lock:
            if len(self._at_s) > 10_000:
                self._at_s = {key: at_s for key, at_s in self._at_s.items() if now_s - at_s < REPEAT_S}
            keys = [(node_id, thing) for thing in things]
            news = any(now_s - self._at_s.get(key, -REPEAT_S) >= REPEAT_S for key in keys)
            if news:
                self._at_s.update(dict.fromkeys(keys, now_s))
        return news
