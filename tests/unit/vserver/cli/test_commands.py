"""The commands that need no running hub."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from vruntime.config import load
from vserver.accounts.model import User
from vserver.accounts.passwords import password_matches
from vserver.cli import main
from vserver.cli.attach import readable
from vserver.collaborations.model import Collaboration
from vserver.config import Settings
from vserver.db import Database

NEW = ("new", "hub", "--user", "--host", "127.0.0.1", "--port", "7601", "--public-url", "", "--database", "")


def vserver(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    return json.loads((said.out if code == 0 else said.err).splitlines()[-1])


@pytest.fixture
def hub(vestal_home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    return Path(vserver(capsys, *NEW)["configuration"])


def test_new_writes_a_commented_file_that_only_its_owner_reads(hub: Path) -> None:
    assert load(hub, Settings).port == 7601
    assert "# Any SQLAlchemy URL" in hub.read_text()
    assert stat.S_IMODE(hub.stat().st_mode) == 0o600


def test_new_never_overwrites(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vserver(capsys, *NEW, code=8)["error"]["code"] == "already_exists"


def test_new_keeps_what_was_answered(vestal_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://vestal:${DATABASE_PASSWORD}@db/vestal"
    answers = ("--host", "0.0.0.0", "--port", "0", "--public-url", "https://hub.example.org", "--database", url)
    path = Path(vserver(capsys, "new", "big", "--user", *answers)["configuration"])
    settings = load(path, Settings, env={"DATABASE_PASSWORD": "s: #3cret"})
    assert (settings.public_url, settings.proxies) == ("https://hub.example.org", 1)
    assert settings.database == "postgresql://vestal:s: #3cret@db/vestal"


@pytest.mark.parametrize(("option", "value"), [("--port", "many"), ("--port", "70000"), ("--database", "nonsense")])
def test_new_refuses_what_would_not_start(
    vestal_home: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    arguments = list(NEW)
    arguments[arguments.index(option) + 1] = value
    assert vserver(capsys, *arguments, code=2)["error"]["code"] == "answer_invalid"
    assert not list(vestal_home.rglob("*.yaml"))


def test_list_shows_also_what_is_broken(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (hub.parent / "broken.yaml").write_text("prod: {port: 1}\ndev: {prot: 2}\n")
    rows = {(row["name"], row["environment"]): row["state"] for row in vserver(capsys, "list")}
    assert rows == {("hub", "plain"): "offline", ("broken", "prod"): "offline", ("broken", "dev"): "invalid"}


def test_without_a_name_the_only_one_is_meant(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vserver(capsys, "files")["configuration"] == str(hub)
    (hub.parent / "second.yaml").write_text("port: 1\n")
    assert "hub, second" in vserver(capsys, "files", code=2)["error"]["message"]


def test_files_hides_the_password_of_the_database(vestal_home: Path, hub: Path, capsys: Any) -> None:
    (hub.parent / "pg.yaml").write_text("database: postgresql://vestal:hunter2@db/vestal\n")
    assert "hunter2" not in vserver(capsys, "files", "pg")["database"]


def test_migrate_makes_the_database_and_then_has_nothing_to_do(hub: Path, capsys: Any) -> None:
    first = vserver(capsys, "migrate")
    assert first["before"] is None
    assert vserver(capsys, "migrate") == {"before": first["after"], "after": first["after"]}


FIXTURES = """
organizations: [{name: Hospital A}, {name: Hospital B}]
collaborations: [{display_name: Stroke, organizations: [Hospital A, Hospital B]}]
users:
  - {username: ada, organization: Hospital A, roles: [Researcher], password_file: ada.password}
nodes: [{name: a, organization: Hospital A}, {name: b, organization: Hospital B}]
"""


def test_import_makes_everything_once_and_keys_are_private(hub: Path, tmp_path: Path, capsys: Any) -> None:
    file, keys = tmp_path / "fixtures.yaml", tmp_path / "keys"
    file.write_text(FIXTURES)
    (tmp_path / "ada.password").write_text("correct horse battery\n")
    first = vserver(capsys, "import", str(file), "hub", "--api-keys", str(keys))
    assert (list(first["organizations"]), list(first["nodes"])) == (["Hospital A", "Hospital B"], ["a", "b"])
    key_file = Path(first["api_key_files"]["a"])
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_text().startswith("vestal-node-")
    again = vserver(capsys, "import", str(file), "hub", "--api-keys", str(keys))
    assert again["organizations"] == again["users"] == again["nodes"] == {}
    assert len(again["existed"]) == 6
    assert again["collaboration_names"] == first["collaboration_names"]
    database = Database(vserver(capsys, "files")["database"])
    with database.read() as session:
        user = session.scalars(select(User)).one()
        study = session.scalars(select(Collaboration)).one()
    assert password_matches("correct horse battery", user.password_hash)
    assert first["collaboration_names"] == {"Stroke": study.name}
    database.dispose()


def test_an_import_that_cannot_write_a_key_down_makes_nothing(hub: Path, tmp_path: Path, capsys: Any) -> None:
    file, keys = tmp_path / "fixtures.yaml", tmp_path / "keys"
    file.write_text("organizations: [{name: A}]\nnodes: [{name: a, organization: A}]\n")
    keys.mkdir(mode=0o700)
    (keys / "a.api_key").write_text("of another hub")
    assert (
        "a.api_key" in vserver(capsys, "import", str(file), "hub", "--api-keys", str(keys), code=8)["error"]["message"]
    )
    (keys / "a.api_key").unlink()
    assert list(vserver(capsys, "import", str(file), "hub", "--api-keys", str(keys))["nodes"]) == ["a"]


@pytest.mark.parametrize(
    ("text", "code", "error", "word"),
    [
        ("organisations: []", 4, "config_invalid", "Did you mean organizations?"),
        ("users: [{username: ada, password: x}]", 4, "config_invalid", "password"),
        ("users: [{username: ada}]", 2, "no_terminal", "password_file"),
        ("users: [{username: ada, password_file: none}]", 4, "config_invalid", "cannot be read"),
        ("users: [{username: ada, password_file: short}]", 4, "config_invalid", "At least 12 characters"),
        ("users: [{username: ada, password_file: long, roles: [King]}]", 3, "bad_request", "King"),
        ("nodes: [{name: a, organization: A}]", 2, "usage", "--api-keys"),
        ("collaborations: [{display_name: S, organizations: [A]}]", 5, "not_found", "A"),
    ],
)
def test_import_names_every_mistake(
    hub: Path, tmp_path: Path, capsys: Any, text: str, code: int, error: str, word: str
) -> None:
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "long").write_text("long enough a password\n")
    file = tmp_path / "fixtures.yaml"
    file.write_text(text)
    said = vserver(capsys, "import", str(file), "hub", code=code)["error"]
    assert said["code"] == error
    assert word in f"{said['message']} {said['hint']}"


def test_attach_makes_log_lines_readable() -> None:
    line = '{"time": "T", "level": "info", "logger": "x", "message": "ready", "run": 7}'
    assert readable(line) == "T info     ready run=7"
    assert readable("plain words") == "plain words"
