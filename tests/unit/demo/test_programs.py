"""Commands are run as an operator would: answers decoded, errors with their last words, none for ever."""

import time
from pathlib import Path

import pytest

from demo.programs import DemoFailed, Programs, at_once, last_lines, tail_of


def test_the_answer_is_the_decoded_last_line(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    made = programs.run("vserver", "new", "tiny", "--user", "--host", "127.0.0.1", "--port", "0", "--public-url", "",
                        "--database", "")  # fmt: skip
    assert made["name"] == "tiny"
    assert Path(made["configuration"]).is_relative_to(tmp_path)


def test_an_error_comes_with_what_the_program_said(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match="ended with exit code 5") as caught:
        Programs(tmp_path).run("vserver", "stop", "nowhere", "--user")
    assert "nowhere" in caught.value.details


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    before = time.monotonic()
    with pytest.raises(DemoFailed, match="was not done after 0 s"):
        Programs(tmp_path).run("vserver", "list", within_s=0.01)
    assert time.monotonic() - before < 30


def test_all_are_awaited_before_the_first_failure_is_raised() -> None:
    done = []

    def work(number: int) -> int:
        if number == 1:
            raise DemoFailed("one")
        done.append(number)
        return number

    with pytest.raises(DemoFailed):
        at_once(work, [1, 2, 3])
    assert sorted(done) == [2, 3]
    assert at_once(work, [2, 3]) == [2, 3]


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    assert tail_of(log) == ""
    log.write_bytes(b"a\nb\xff\nc\n")
    assert tail_of(log, 2).splitlines()[1:] == ["b�", "c"]
    assert last_lines("", 3) == ""
