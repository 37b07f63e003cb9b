from vruntime.clock import ManualClock
from vserver.jobs.told import REPEAT_S, Told


def test_the_same_thing_is_news_once_and_again_after_a_while() -> None:
    clock = ManualClock()
    told = Told(clock)
    assert told.is_news(1, [5])
    assert not told.is_news(1, [5])
    assert told.is_news(2, [5])  # another node
    assert told.is_news(1, [5, 6])  # one of them is new
    clock.advance(REPEAT_S)
    assert told.is_news(1, [5])


def test_nothing_is_no_news() -> None:
    assert not Told(ManualClock()).is_news(1, [])
