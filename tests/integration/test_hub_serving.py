"""The real process: gunicorn and gevent behind `vserver start`, until `vserver stop`."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub_world import PASSWORD
from vclient.cli import main as vclient_main
from vprotocol.errors import LoginFailed, NotAuthenticated
from vruntime.cli import run
from vruntime.http import Http
from vserver import deployment as deployments
from vserver.cli import main

pytestmark = pytest.mark.slow


def vserver(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    return json.loads((said.out if code == 0 else said.err).splitlines()[-1])


def vclient(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    returned = run(vclient_main.group, [*arguments, "--json"], "vclient")  # type: ignore[attr-defined]
    said = capsys.readouterr()
    assert returned == code, said.err
    return json.loads((said.out if code == 0 else said.err).splitlines()[-1])


@pytest.fixture
def started(vestal_home: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[dict[str, Any]]:
    vserver(capsys, "new", "hub", "--user", "--host", "127.0.0.1", "--port", "0", "--public-url", "", "--database", "")
    seen = vestal_home / "seen"
    started = vserver(capsys, "start", "hub", "--record-requests", str(seen))
    try:
        yield {**started, "seen": seen}
    finally:
        hub = deployments.load("hub")
        if deployments.running(hub) is not None:
            deployments.stop(hub)


def test_a_hub_starts_serves_and_stops(started: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with Http(f"{started['url']}/api/v1") as http:
        assert http.get("/ready") == {"status": "ready"}
        body = {"code": started["first_administrator_code"], "username": "root", "password": PASSWORD}
        assert http.post("/user/first", body)["username"] == "root"
        with pytest.raises(LoginFailed):
            http.post("/token/user", {"username": "root", "password": "wrong"})
        pair = http.post("/token/user", {"username": "root", "password": PASSWORD})
        assert pair["principal"]["id"] == 1
        with pytest.raises(NotAuthenticated):
            http.get("/organization")
    [row] = vserver(capsys, "list")
    assert (row["state"], row["url"]) == ("online", started["url"])
    assert vserver(capsys, "start", "hub", code=8)["error"]["code"] == "already_running"
    assert PASSWORD.encode() in started["seen"].read_bytes()
    log = Path(vserver(capsys, "files", "hub")["log"]).read_text()
    assert PASSWORD not in log
    assert pair["access_token"] not in log
    assert '"path"' in log or "POST /api/v1/token/user" in log
    assert vserver(capsys, "stop", "hub")["pid"] == started["pid"]
    assert vserver(capsys, "list")[0]["state"] == "offline"
    assert vserver(capsys, "stop", "hub", code=5)["error"]["code"] == "not_running"


def test_the_code_for_the_first_administrator_is_made_only_as_long_as_there_is_none(
    started: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with Http(f"{started['url']}/api/v1") as http:
        body = {"code": started["first_administrator_code"], "username": "root", "password": PASSWORD}
        http.post("/user/first", body)
    vserver(capsys, "stop", "hub")
    assert vserver(capsys, "start", "hub")["first_administrator_code"] is None


def test_a_killed_hub_starts_again(started: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    ended = threading.Event()
    os.kill(started["pid"], signal.SIGKILL)
    hub = deployments.load("hub")
    # The worker notices that its parent is gone and lets go of the lock; nobody can be told of that.
    for _ in range(200):
        if deployments.running(hub) is None:
            break
        ended.wait(0.05)
    again = vserver(capsys, "start", "hub")
    assert again["pid"] != started["pid"]


def test_a_hub_that_cannot_start_says_so(vestal_home: Path, capsys: pytest.CaptureFixture[str], started: Any) -> None:
    port = started["url"].rpartition(":")[2]
    vserver(
        capsys, "new", "other", "--user", "--host", "127.0.0.1", "--port", port, "--public-url", "", "--database", ""
    )
    error = vserver(capsys, "start", "other", code=12)["error"]
    assert error["code"] == "start_failed"
    assert "in use" in error["message"]


def test_the_first_administrator_is_made_by_a_command_that_asks_nothing_without_a_terminal(
    started: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "code").write_text(f"{started['first_administrator_code']}\n")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "short").write_text("too short\n")
    options = ("administrator", "--hub", started["url"], "--username", "root", "--code-file", str(tmp_path / "code"))
    missing = vclient(capsys, *options, code=2)["error"]
    assert "--password-file" in missing["hint"]
    short = vclient(capsys, *options, "--password-file", str(tmp_path / "short"), code=2)["error"]
    assert "12 characters" in short["message"]
    made = vclient(capsys, *options, "--password-file", str(tmp_path / "password"))
    assert (made["user"], made["hub"]) == ("root", started["url"])
    assert "user:edit:global" in vclient(capsys, "whoami")["permissions"]  # logged in, and the hub is remembered
    again = vclient(capsys, *options, "--password-file", str(tmp_path / "password"), code=5)["error"]
    assert "not valid (any more)" in again["message"]
