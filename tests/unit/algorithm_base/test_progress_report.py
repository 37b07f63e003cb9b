"""Progress: throttled, and never a reason to fail."""

import math

from algorithm_base import progress
from algorithm_base.progress_report import Throttled, reporting_to


def test_outside_a_run_nothing_happens():
    progress(40)


def test_percents_are_whole_and_between_0_and_100():
    seen: list[int] = []
    with reporting_to(seen.append):
        for percent in (-5, 3.9, math.nan, 250):
            progress(percent)
    progress(7)
    assert seen == [0, 3, 100]


def test_at_most_one_a_second_and_the_end_always():
    now = [0.0]
    sent: list[int] = []
    report = Throttled(sent.append, clock=lambda: now[0])
    for percent, at in [(0, 0.0), (1, 0.5), (2, 1.0), (2, 5.0), (3, 5.5), (100, 5.6), (100, 9.0)]:
        now[0] = at
        report(percent)
    assert sent == [0, 2, 3, 100]


def test_a_failure_is_one_line_without_values_and_then_silence(capsys):
    calls: list[int] = []

    def broken(percent: int) -> None:
        calls.append(percent)
        raise OSError("secret")

    now = iter(range(0, 1000, 10))
    report = Throttled(broken, clock=lambda: next(now))
    for percent in (1, 2, 3):
        report(percent)
    assert calls == [1]
    assert capsys.readouterr().err == "progress is not reported any more: OSError\n"
