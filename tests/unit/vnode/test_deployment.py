"""Whether a node runs is asked of a lock, never guessed; and what a starting node says is believed."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vnode import deployment as deployments
from vnode.deployment import AlreadyRunning, Deployment, NotRunning, StartFailed, check_ready
from vnode.executors.errors import ImageMissing
from vprotocol.errors import ConfigInvalid, IdentityChanged, Unreachable
from vruntime.clock import SystemClock

CONFIGURATION = "name: a\nhub: {url: 'http://127.0.0.1:1', api_key: '${NODE_KEY}'}\nexecutor: process\n"


@pytest.fixture
def load(vestal_home: Path) -> Callable[..., Deployment]:
    folder = vestal_home / "user" / "config" / "node"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(CONFIGURATION)
    return lambda **options: deployments.load("a", **{"variables_needed": False, **options})


def test_nobody_runs_before_anybody_ran(load: Callable[..., Deployment]) -> None:
    assert deployments.running(load()) is None
    with pytest.raises(NotRunning):
        deployments.stop(load())


def test_whoever_runs_is_known_until_the_end(load: Callable[..., Deployment]) -> None:
    with deployments.alone(load(), "1.2.3", SystemClock()):
        found = deployments.running(load())
        assert found is not None
        assert (found.pid, found.version) == (os.getpid(), "1.2.3")
    assert deployments.running(load()) is None
    assert load().state_file.exists()  # what is left of it is not believed


def test_two_never_share_a_data_folder(load: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "LOOKERS_ARE_GONE_S", 0.0)
    with deployments.alone(load(), "1", SystemClock()), pytest.raises(AlreadyRunning):
        with deployments.alone(load(), "1", SystemClock()):
            raise AssertionError("two run")


def test_looking_is_not_running(load: Callable[..., Deployment]) -> None:
    node = load()
    with deployments.alone(node, "1", SystemClock()):
        pass
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            deployments.running(node)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(20):
            with deployments.alone(node, "1", SystemClock()):
                pass
    finally:
        stop.set()
        looking.join(10)


def test_a_missing_variable_matters_only_where_the_node_starts(
    load: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_KEY", raising=False)
    assert load().name == "a"
    with pytest.raises(ConfigInvalid, match="NODE_KEY is not set"):
        load(variables_needed=True)
    monkeypatch.setenv("NODE_KEY", "k" * 16)
    assert load(variables_needed=True).settings.hub.api_key == "k" * 16


def test_a_ready_node_is_ready() -> None:
    check_ready(b'{"ready": true}\n', "see the log")


@pytest.mark.parametrize(
    "error",
    [
        IdentityChanged("another identity"),
        Unreachable("no hub", hint="look"),
    ],
)
def test_why_a_node_did_not_start_comes_through_whole(error: IdentityChanged | Unreachable) -> None:
    with pytest.raises(type(error)) as told:
        check_ready(json.dumps(error.to_wire()).encode(), "see the log")
    assert (str(told.value), told.value.hint) == (str(error), error.hint)


@pytest.mark.parametrize("line", [b"", b"Traceback", b'{"rea'])
def test_a_node_that_ended_without_a_word_points_to_its_log(line: bytes) -> None:
    with pytest.raises(StartFailed, match="see the log"):
        check_ready(line, "see the log")


def test_a_start_that_fails_tells_why(load: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_KEY", "k" * 16)
    file = load().context.config_file
    file.write_text(CONFIGURATION + "process_images: [{name: stats, package: stats, path: /nowhere}]\n")
    with pytest.raises(ImageMissing, match="nothing at /nowhere"):
        deployments.start_in_background(load(variables_needed=True))
    assert deployments.running(load()) is None
    assert "nothing at /nowhere" in load().log_file.read_text()
