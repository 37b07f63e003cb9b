import threading

import pytest

from vprotocol.errors import Unavailable
from vserver.offload import Offload


def test_the_answer_and_the_error_come_back() -> None:
    offload = Offload(1)
    assert offload.run(max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        offload.run(divmod, 1, 0)
    assert offload.run(max, 1, 2) == 2


def test_too_much_at_once_is_told_so() -> None:
    offload = Offload(1)
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        inside.set()
        go_on.wait(10)

    thread = threading.Thread(target=offload.run, args=(slow,))
    thread.start()
    assert inside.wait(10)
    with pytest.raises(Unavailable):
        offload.run(max, 1, 2)
    go_on.set()
    thread.join(10)
    assert offload.run(max, 1, 2) == 2
