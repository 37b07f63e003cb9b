import pytest

from vprotocol.errors import RateLimited
from vruntime.clock import ManualClock
from vserver.web import ratelimit
from vserver.web.ratelimit import RateLimiter


def test_a_burst_then_a_rate() -> None:
    clock = ManualClock()
    limiter = RateLimiter(clock, per_s=0.5, burst=2)
    limiter.take("a")
    limiter.take("a")
    with pytest.raises(RateLimited) as refused:
        limiter.take("a")
    assert refused.value.fields == {"retry_after_s": 2}
    limiter.take("b")
    clock.advance(2)
    limiter.take("a")


def test_a_refused_call_costs_nobody_anything() -> None:
    limiter = RateLimiter(ManualClock(), per_s=1, burst=1)
    limiter.take("address")
    with pytest.raises(RateLimited):
        limiter.take("address", "ada")
    limiter.take("ada")


def test_idle_keys_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "_MAX_KEYS", 3)
    clock = ManualClock()
    limiter = RateLimiter(clock, per_s=1, burst=1)
    for key in "abc":
        limiter.take(key)
    clock.advance(5)
    limiter.take("d")
    assert set(limiter._buckets) == {"d"}
