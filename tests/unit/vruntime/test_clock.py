import threading

import pytest

from vruntime.clock import Deadline, ManualClock, SystemClock


def test_a_manual_clock_moves_itself_when_somebody_sleeps():
    clock = ManualClock(now=100)
    clock.sleep(5)
    assert not clock.wait(threading.Event(), 2)
    assert (clock.now(), clock.monotonic(), clock.naps) == (107, 7, [5, 2])


def test_a_sleeper_wakes_when_the_time_has_come_and_not_before():
    clock, woke = ManualClock(moves_itself=False), threading.Event()
    sleeper = threading.Thread(target=lambda: (clock.sleep(10), woke.set()))
    sleeper.start()
    clock.await_waiters()
    clock.advance(9)
    assert not woke.is_set()
    clock.advance(1)
    assert woke.wait(10)
    sleeper.join(10)


def test_an_event_ends_a_wait_early():
    clock, event, answers = ManualClock(moves_itself=False), threading.Event(), []
    waiter = threading.Thread(target=lambda: answers.append(clock.wait(event, 10)))
    waiter.start()
    clock.await_waiters()
    event.set()
    waiter.join(10)
    assert (answers, clock.monotonic()) == ([True], 0)


def test_setting_the_wall_clock_does_not_touch_elapsed_time():
    clock = ManualClock(now=100)
    deadline = Deadline.after(clock, 10)
    clock.set_now(0)
    assert (clock.now(), deadline.remaining_s()) == (0, 10)


def test_time_does_not_go_back():
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_a_deadline_passes_and_never_becomes_negative():
    clock = ManualClock()
    deadline = Deadline.after(clock, 3)
    clock.advance(5)
    assert (deadline.passed(), deadline.remaining_s()) == (True, 0)


def test_the_system_clock_sees_an_event():
    event = threading.Event()
    assert not SystemClock().wait(event, -1)
    event.set()
    assert SystemClock().wait(event, 10)
