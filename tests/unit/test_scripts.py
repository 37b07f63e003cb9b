"""What can be seen of the scripts without running what they run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, **environment):
    return subprocess.run(
        [str(ROOT / command[0]), *command[1:]],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def prepared(tmp_path):
    """An environment that somebody else made; its python writes down how it is called."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done\n')
    python.chmod(0o755)
    return str(tmp_path / "venv")


@pytest.mark.parametrize("script", ["script/setup-venv", "script/check", "script/test", ".ci/run"])
def test_scripts_are_executable_and_valid_bash(script):
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True, timeout=20)


def test_a_prepared_environment_is_used_as_it_is(prepared):
    done = run("script/setup-venv", VESTAL_VENV=prepared)
    assert (done.returncode, done.stdout) == (0, f"{prepared}\n")


def test_an_old_python_is_refused_with_a_remedy(tmp_path):
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = run("script/setup-venv", PATH=f"{tmp_path}:/usr/bin:/bin", VESTAL_VENV=str(tmp_path / "new"))
    assert done.returncode == 1
    assert "no Python 3.11" in done.stderr
    assert "hint:" in done.stderr
    assert not (tmp_path / "new").exists()


def test_quick_leaves_out_what_is_slow_and_hands_the_rest_to_pytest(prepared):
    done = run("script/test", "--quick", "tests/unit", "-k", "a b", VESTAL_VENV=prepared)
    words = ["-m", "pytest", "-m", "not docker and not postgres and not slow", "-n", "auto", "--dist", "loadfile"]
    words += ["tests/unit", "-k", "a b"]
    assert done.stdout.splitlines() == [f"<{word}>" for word in words]


def test_requirements_go_to_pytest(prepared):
    done = run("script/test", "--require-docker", "--require-postgres", VESTAL_VENV=prepared)
    assert done.stdout.splitlines() == ["<-m>", "<pytest>", "<--require-docker>", "<--require-postgres>"]


def test_check_knows_one_option_only(prepared):
    done = run("script/check", "--fast", VESTAL_VENV=prepared)
    assert done.returncode == 2
    assert "--fast" in done.stderr


def test_a_missing_engine_is_an_error_when_it_is_required_and_a_loud_skip_otherwise(tmp_path):
    (tmp_path / "test_x.py").write_text("import pytest\n@pytest.mark.docker\ndef test_x(): assert False\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command += ["--rootdir", str(ROOT), "-p", "tests.conftest", str(tmp_path)]
    environment = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = [
        subprocess.run([*command, *extra], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        for extra in ([], ["--require-docker"])
    ]
    assert done[0].returncode == 0
    assert "NOT TESTED" in done[0].stdout
    assert "tests that need docker, skipped: 1;" in done[0].stdout
    assert done[1].returncode == 4
    assert "--require-docker: no Docker engine answers" in done[1].stderr
