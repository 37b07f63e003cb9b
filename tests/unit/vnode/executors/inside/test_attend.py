import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vnode.executors.inside import attend

ENTRIES = [
    {"path": "in", "mode": 0o500, "content": None},
    {"path": "out", "mode": 0o700, "content": None},
    {"path": "out/files", "mode": 0o700, "content": None},
    {"path": "out/output", "mode": 0o600, "content": ""},
    {"path": "in/input", "mode": 0o400, "content": base64.b64encode(b"\xffhello").decode()},
]


@pytest.fixture
def root(tmp_path):
    assert attend.fill(str(tmp_path), ENTRIES) == {}
    return tmp_path


def read(root, path, inline_bytes=100):
    return attend.read(str(root), path, inline_bytes)


def test_files_and_modes(root):
    assert (root / "in/input").read_bytes() == b"\xffhello"
    assert (root / "in/input").stat().st_mode & 0o777 == 0o400
    assert (root / "in").stat().st_mode & 0o777 == 0o500


def test_a_place_that_is_not_empty_is_not_filled(root):
    assert attend.fill(str(root), ENTRIES) == {"error": "not empty"}


def test_reading(root):
    (root / "out/output").write_bytes(b"\x00\xff")
    assert read(root, "out/output") == {"size": 2, "content": base64.b64encode(b"\x00\xff").decode()}
    assert read(root, "out/output", 1) == {"size": 2}
    assert read(root, "out/none") == {"missing": True}


def test_links_are_not_followed(root, tmp_path):
    (root / "out/files").rmdir()
    (root / "out/files").symlink_to("/etc")
    (root / "out/link").symlink_to("/etc/passwd")
    assert read(root, "out/files/passwd") == {"invalid": True}
    assert read(root, "out/link") == {"invalid": True}
    assert attend.names(str(root), "out/files", 10) == {"names": []}


def test_a_pipe_does_not_hold_it_up(root):
    os.mkfifo(root / "out/pipe")
    assert read(root, "out/pipe") == {"invalid": True}
    assert read(root, "out/files") == {"invalid": True}


def test_names_are_those_of_regular_files(root):
    (root / "out/files/a").touch()
    (root / "out/files/d").mkdir()
    (root / "out/files/l").symlink_to("a")
    assert attend.names(str(root), "out/files", 10) == {"names": ["a"]}
    for n in range(12):
        (root / f"out/files/{n}").touch()
    assert "error" in attend.names(str(root), "out/files", 10)


def test_cleaning_takes_everything_and_nothing_else(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "kept").touch()
    (root / "out/link").symlink_to(elsewhere)
    (root / "out/a/b").mkdir(parents=True)
    (root / "out/a/b/c").touch()
    for path in ("out/a/b", "out/a", "out"):
        (root / path).chmod(0)
    assert attend.clean(str(root)) == {}
    assert list(root.iterdir()) == []
    assert (elsewhere / "kept").exists()


def ask(root, *lines):
    program = Path(attend.__file__)
    asked = subprocess.run(
        [sys.executable, "-I", "-S", str(program), str(root)],
        input=b"".join(lines),
        capture_output=True,
        timeout=30,
        check=True,
    )
    return [json.loads(line) for line in io.BytesIO(asked.stdout)]


def test_answers_carry_the_number_of_the_question(tmp_path):
    fill = {"id": "1", "do": "fill", "entries": ENTRIES}
    names = {"id": "2", "do": "names", "path": "out/files", "limit": 5}
    lines = [json.dumps(request).encode() + b"\n" for request in (fill, names)]
    assert ask(tmp_path, *lines) == [{"id": "1"}, {"id": "2", "names": []}]


def test_half_a_question_is_passed_over(tmp_path):
    whole = json.dumps({"id": "9", "do": "clean"}).encode() + b"\n"
    assert ask(tmp_path, b'{"id": "8", "do": "fi', b"\n", b"7\n", whole) == [{"id": "9"}]


def test_what_it_does_not_know_is_an_error(tmp_path):
    assert ask(tmp_path, b'{"id": "1", "do": "shell"}\n') == [{"id": "1", "error": "unknown request"}]
