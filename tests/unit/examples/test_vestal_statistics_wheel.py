"""The example's project folder becomes a wheel with everything in it, and says what it needs."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3] / "examples/vestal-statistics"


BUILDERS = ("setuptools.command.bdist_wheel", "wheel")  # setuptools makes wheels by itself from 70.1 on


def can_build() -> bool:
    return importlib.util.find_spec("setuptools") is not None and any(map(importlib.util.find_spec, BUILDERS))


@pytest.mark.skipif(not can_build(), reason="building a wheel offline needs setuptools 70.1 or later installed")
def test_a_wheel_can_be_built_without_a_network(tmp_path):
    source = shutil.copytree(PROJECT, tmp_path / "source", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    built = subprocess.run([*command, "-w", tmp_path, source], capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("vestal_statistics-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packaged = {name for name in names if name.startswith("vestal_statistics/")}
    assert packaged == {
        f"vestal_statistics/{path.name}" for path in (PROJECT / "vestal_statistics").iterdir() if path.is_file()
    }
