"""One writer at a time, in this process and among processes."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vprotocol.errors import DeadlineExceeded
from vruntime.file_lock import locked


def test_whoever_waits_too_long_is_told_for_which_file(tmp_path: Path) -> None:
    with locked(tmp_path / "store.json"), pytest.raises(DeadlineExceeded, match=r"store\.json"):
        with locked(tmp_path / "store.json", within_s=0.05):
            raise AssertionError("two hold the lock")


def test_the_next_one_gets_it(tmp_path: Path) -> None:
    entered = threading.Event()

    def wait_for_it() -> None:
        with locked(tmp_path / "store.json"):
            entered.set()

    waiting = threading.Thread(target=wait_for_it)
    with locked(tmp_path / "store.json"):
        waiting.start()
        assert not entered.is_set()
    waiting.join(10)
    assert entered.is_set()


def test_files_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with locked(tmp_path / "a"), locked(tmp_path / "b", within_s=0.05):
        pass


def test_a_process_that_dies_gives_it_back(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys\nfrom vruntime.file_lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
        "    os._exit(1)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "store.json")],
        cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(DeadlineExceeded), locked(tmp_path / "store.json", within_s=0.05):
        raise AssertionError("two hold the lock")
    holder.kill()
    holder.communicate(timeout=10)
    with locked(tmp_path / "store.json"):
        pass
