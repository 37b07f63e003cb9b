"""At most so many calls in a while, per key (who, from where). Kept in memory; forgotten when idle."""

import math
import threading
from dataclasses import dataclass

from vprotocol.errors import RateLimited
from vruntime.clock import Clock

_MAX_KEYS = 50_000


@dataclass
class _Bucket:
    tokens: float
    at_s: float


class RateLimiter:
    """A bucket of `burst` calls for each key, refilled at `per_s` calls a second."""

    def __init__(self, clock: Clock, *, per_s: float, burst: int) -> None:
        self._clock, self._per_s, self._burst = clock, per_s, burst
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, *keys: str) -> None:
        """Count one call for each of `keys`.

        :raises RateLimited: says in `retry_after_s` when to come back.
        """
        with self._lock:
            now_s = self._clock.monotonic()
            buckets = [self._refilled(key, now_s) for key in keys]
            emptiest = min(bucket.tokens for bucket in buckets)
            if emptiest < 1:
                wait_s = math.ceil((1 - emptiest) / self._per_s)
                raise RateLimited(f"Too many requests; try again in {wait_s} s.", fields={"retry_after_s": wait_s})
            for bucket in buckets:
                bucket.tokens -= 1

    def _refilled(self, key: str, now_s: float) -> _Bucket:
        if len(self._buckets) >= _MAX_KEYS:
            self._forget_full(now_s)
        bucket = self._buckets.setdefault(key, _Bucket(self._burst, now_s))
        bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.at_s) * self._per_s)
        bucket.at_s = now_s
        return bucket

    def _forget_full(self, now_s: float) -> None:
        """A bucket that would be full by now says nothing."""
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if bucket.tokens + (now_s - bucket.at_s) * self._per_s < self._burst
        }
