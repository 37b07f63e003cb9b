"""The demo itself, without containers: real processes, sockets and files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WITHIN_S = 400

pytestmark = pytest.mark.slow


def demo(temporary: Path, *options: str) -> subprocess.Popen[str]:
    """Everything that it makes lies below `temporary`, which therefore tells what it left."""
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--executor", "process", *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that have this folder in them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if str(folder).encode() in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def left_behind(folder: Path) -> list[str]:
    return [*map(str, folder.iterdir()), *processes_of(folder)]


def test_the_answers_are_those_on_the_joined_data_and_the_hub_saw_nothing(tmp_path: Path) -> None:
    process = demo(tmp_path, "--nodes", "2", "--json")
    answer, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said[-5000:]
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    assert (found["executor"], found["sealed"], found["nodes"]) == ("process", True, 2)
    parts = found["parts"]
    assert parts["central"]["max_relative_difference"] <= 1e-9
    assert parts["workflow"]["max_relative_difference"] <= 1e-9
    assert parts["logistic"]["max_difference"] <= 1e-6
    assert parts["logistic"]["rounds"] > 3
    saw = found["hub_saw"]
    assert saw["searched"] == saw["control_found"] > 200
    assert saw["findings"] == 0
    assert "participants: Hospital A, Hospital B" in saw["visible"]
    assert left_behind(tmp_path) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    process = demo(tmp_path, "--nodes", "2")
    assert process.stderr is not None
    for line in process.stderr:  # until hub and nodes run
        if "nodes, each with keys" in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 130, said[-5000:]
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("options", [("--nodes", "1"), ("--nodes", "many"), ("--executor", "cloud")])
def test_wrong_options_are_refused_before_anything_starts(tmp_path: Path, options: tuple[str, ...]) -> None:
    process = demo(tmp_path, *options)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "error:" in said
    assert left_behind(tmp_path) == []
