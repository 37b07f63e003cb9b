import os
import subprocess
import sys

import pytest

from benchmarks.floor import Turns, children, in_turns, peak_bytes, resident_bytes


def test_measured_and_floors_take_turns_and_warming_up_does_not_count():
    done = []
    turns = in_turns(lambda: done.append("m"), lambda: done.append("a"), lambda: done.append("b"), rounds=2, warm_up=1)
    assert done == list("mab" * 3)
    assert len(turns.measured) == 2
    assert [len(one) for one in turns.floors] == [2, 2]


def test_a_value_is_the_median_of_its_rounds():
    turns = Turns((3.0, 1.0, 100.0), ((1.0, 2.0, 9.0), (5.0, 4.0, 6.0)))
    assert turns.value_s == 3.0
    assert turns.floor_s() == 2.0
    assert turns.floor_s(1) == 5.0


def test_the_peak_of_a_process_is_its_own():
    program = "import sys; data = b'x' * (64 << 20); del data; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert peak_bytes(process.pid) > resident_bytes(process.pid) + (60 << 20)
        assert process.pid in children(os.getpid())
        process.communicate(timeout=10)


def test_a_process_that_is_gone_has_no_peak():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=10)
    with pytest.raises((FileNotFoundError, ProcessLookupError)):
        peak_bytes(process.pid)
