"""Whether a hub runs is told by a lock that ends with its process."""

from pathlib import Path

import pytest

from vprotocol.errors import ConfigInvalid
from vruntime.clock import ManualClock
from vserver import deployment as deployments
from vserver.cli.attach import followed
from vserver.deployment import AlreadyRunning, Deployment, NotRunning, Running


@pytest.fixture
def hub(vestal_home: Path) -> Deployment:
    folder = vestal_home / "user" / "config" / "server"
    folder.mkdir(parents=True)
    (folder / "hub.yaml").write_text("port: 0\nrecord_requests: seen\n")
    return deployments.load("hub")


def test_folders_are_filled_in(hub: Deployment, vestal_home: Path) -> None:
    assert hub.folder == vestal_home / "user" / "data" / "server" / "hub" / "plain"
    assert hub.log_file == vestal_home / "user" / "log" / "server" / "hub" / "plain" / "hub.log"
    assert hub.settings.record_requests == hub.context.config_file.parent / "seen"


def test_whoever_holds_the_lock_runs_and_nobody_else_may(hub: Deployment) -> None:
    assert deployments.running(hub) is None
    state = Running(pid=1234, url="http://127.0.0.1:1", since=0.0, version="0.1.0")
    with deployments.locked(hub):
        deployments.write_state(hub, state)
        assert deployments.running(hub) == state
        with pytest.raises(AlreadyRunning, match=r"http://127\.0\.0\.1:1"), deployments.locked(hub):
            pass
    assert deployments.running(hub) is None  # the state file is still there and does not matter


def test_what_does_not_run_cannot_be_stopped(hub: Deployment) -> None:
    with pytest.raises(NotRunning):
        deployments.stop(hub)


def test_preparing_makes_a_new_code_each_time_until_somebody_administers(hub: Deployment) -> None:
    clock = ManualClock()
    first, second = deployments.prepare(hub, clock), deployments.prepare(hub, clock)
    assert first.first_administrator_code != second.first_administrator_code
    assert (first.migrated_from, second.migrated_from) == (None, second.revision)


def test_no_secret_is_on_the_command_line(hub: Deployment, vestal_home: Path) -> None:
    command = deployments.serve_command(hub, record_requests=None, ready_fd=7)
    assert command[1:] == [
        *("-m", "vserver.serve", str(hub.context.config_file), "user", "plain", "--ready-fd", "7"),
    ]


def test_a_broken_file_starts_nothing(hub: Deployment) -> None:
    hub.context.config_file.write_text("port: many\n")
    with pytest.raises(ConfigInvalid, match="port"):
        deployments.load("hub")


def test_attach_shows_the_log_to_its_end_when_the_hub_has_stopped(hub: Deployment) -> None:
    hub.log_file.parent.mkdir(parents=True)
    hub.log_file.write_text("one\ntwo\n")
    assert list(followed(hub, ManualClock())) == ["one", "two"]
