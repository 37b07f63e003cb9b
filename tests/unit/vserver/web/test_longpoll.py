"""Held requests: nothing is lost between looking and waiting, and nothing is held while waiting."""

import threading
from collections.abc import Callable

from vruntime.clock import Deadline, ManualClock, SystemClock
from vserver.web.longpoll import Signals


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def test_a_call_wakes_whoever_listens_to_the_topic_and_nobody_else() -> None:
    signals = Signals(SystemClock())
    deadline = Deadline.after(SystemClock(), 10)
    listening = threading.Barrier(3)

    def listen(topic: str) -> bool:
        with signals.listen([topic]) as ear:
            listening.wait(10)
            return ear.wait(deadline if topic == "node:1" else Deadline.after(SystemClock(), 0.05))

    one, heard = in_thread(lambda: listen("node:1"))
    two, unheard = in_thread(lambda: listen("node:2"))
    listening.wait(10)
    signals.notify("node:1")
    one.join(10)
    two.join(10)
    assert (heard, unheard) == ([True], [False])
    assert signals.listeners() == 0


def test_what_happens_between_looking_and_waiting_is_not_lost() -> None:
    signals, looks = Signals(SystemClock()), []

    def look() -> str | None:
        looks.append(1)
        if len(looks) == 1:
            signals.notify("job:a")  # after this look began, before the wait
            return None
        return "found"

    assert signals.hold(["job:a"], Deadline.after(SystemClock(), 10), look) == "found"
    assert len(looks) == 2


def test_the_deadline_ends_it_with_one_last_look() -> None:
    clock, looks = ManualClock(), []
    signals = Signals(clock)
    assert signals.hold(["x"], Deadline.after(clock, 20), lambda: looks.append(1)) is None
    assert clock.naps == [20]
    assert len(looks) == 2


def test_something_there_already_is_answered_at_once() -> None:
    clock = ManualClock()
    assert Signals(clock).hold(["x"], Deadline.after(clock, 20), lambda: "there") == "there"
    assert clock.naps == []


def test_closing_ends_every_wait_and_lets_none_begin() -> None:
    signals = Signals(SystemClock())
    looked = threading.Event()
    deadline = Deadline.after(SystemClock(), 30)
    thread, answers = in_thread(lambda: signals.hold(["x"], deadline, lambda: looked.set()))
    assert looked.wait(10)
    signals.close()
    thread.join(10)
    assert answers == [None]
    assert signals.hold(["x"], deadline, lambda: None) is None
    assert not deadline.passed()


def test_two_topics_that_call_the_same_ear_wake_it_once() -> None:
    clock = ManualClock()
    signals = Signals(clock)
    with signals.listen(["a", "b"]) as ear:
        signals.notify("a", "b")
        assert ear.wait(Deadline.after(clock, 1))
        assert not ear.wait(Deadline.after(clock, 1))
