"""The commands that need neither hub nor engine, as a person or a script calls them."""

import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vnode.assignments import assignment
from tests.unit.vprotocol.world import NOW, B, plan, plan_document
from vnode.cli import main
from vnode.cli.attach import readable
from vnode.config import NodeSettings
from vnode.deployment import Deployment
from vnode.deployment import load as load_node
from vnode.identity import read_key_log, write_key_log
from vnode.journal import Journal, Phase
from vprotocol.key_request import KeyRequest
from vprotocol.keys import KeyKind, PrivateKey
from vprotocol.words import spoken
from vruntime.clock import SystemClock
from vruntime.config import load
from vruntime.trust_store import TrustLevel, TrustStore

API_KEY = "vestal-node-" + "k" * 32


@pytest.fixture
def api_key(tmp_path: Path) -> Path:
    path = tmp_path / "api_key"
    path.write_text(API_KEY + "\n")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    path.write_text("age\n50\n")
    return path


def vnode(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    assert API_KEY not in said.out + said.err
    return json.loads((said.out if code == 0 else said.err).splitlines()[-1])


def new(capsys: pytest.CaptureFixture[str], api_key: Path, *more: str, name: str = "a", code: int = 0) -> Any:
    options = ("--hub", "http://hub.example.org", "--api-key-file", str(api_key), "--executor", "process")
    return vnode(capsys, "new", name, *options, *more, code=code)


@pytest.fixture
def node(vestal_home: Path, capsys: pytest.CaptureFixture[str], api_key: Path, data: Path) -> Deployment:
    new(capsys, api_key, "--organization", "Hospital A", "--data-path", str(data), "--data-open", "--images", "stats*")
    return load_node("a")


@pytest.fixture
def with_keys(node: Deployment, capsys: pytest.CaptureFixture[str]) -> Deployment:
    vnode(capsys, "keys", "new")
    return node


# --- new -------------------------------------------------------------------------------------------------------------
def test_new_writes_a_commented_file_that_only_its_owner_reads(node: Deployment) -> None:
    file = node.context.config_file
    assert "# From the hub's administrator." in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert node.settings.hub.api_key == API_KEY
    assert node.settings.policy.images == ("stats*",)
    assert node.settings.data_sources[0].open


def test_new_never_overwrites(node: Deployment, capsys: pytest.CaptureFixture[str], api_key: Path) -> None:
    assert new(capsys, api_key, code=8)["error"]["code"] == "already_exists"


def test_new_leaves_the_api_key_to_the_environment(vestal_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(vnode(capsys, "new", "b", "--hub", "https://hub.example.org")["configuration"])
    assert "api_key: ${VNODE_API_KEY}" in path.read_text()
    settings = load(path, NodeSettings, env={"VNODE_API_KEY": "e" * 20})
    assert (settings.hub.api_key, settings.executor, settings.policy.images) == ("e" * 20, "docker", ())


def test_new_takes_several_sources_and_process_images(
    vestal_home: Path, capsys: pytest.CaptureFixture[str], api_key: Path, tmp_path: Path
) -> None:
    name = "0b" * 16
    source = f"label=scans,type=folder,path={tmp_path},collaborations={name}+{'0c' * 16},open=true"
    image = f"name=stats,package=stats,path={tmp_path}"
    path = Path(new(capsys, api_key, "--data-source", source, "--process-image", image)["configuration"])
    settings = load(path, NodeSettings)
    (found,) = settings.data_sources
    assert (found.label, found.type, found.collaborations, found.open) == ("scans", "folder", (name, "0c" * 16), True)
    assert settings.process_images[0].path == tmp_path


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("--max-runs", "many", "answer_invalid"),
        ("--hub", "hub.example.org", "answer_invalid"),
        ("--trust", "blind", "usage"),
        ("--data-source", "label", "usage"),
        ("--data-source", "colour=blue", "usage"),
    ],
)
def test_new_refuses_what_it_cannot_write(
    vestal_home: Path, capsys: pytest.CaptureFixture[str], api_key: Path, option: str, value: str, error: str
) -> None:
    told = new(capsys, api_key, option, value, code=2)["error"]
    assert told["code"].startswith(error)
    assert not list(vestal_home.rglob("*.yaml"))


def test_new_refuses_what_would_not_start(
    vestal_home: Path, capsys: pytest.CaptureFixture[str], api_key: Path, data: Path
) -> None:
    told = new(capsys, api_key, "--data-path", str(data), code=4)["error"]  # not open, and nothing isolates
    assert "isolates nothing" in told["message"]
    assert not list(vestal_home.rglob("*.yaml"))


def test_new_asks_nobody_without_a_terminal(vestal_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "new", "c", code=2)["error"]["hint"] == "Add --hub."


# --- list, files, runs, image ----------------------------------------------------------------------------------------
def test_list_shows_also_what_is_broken(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    good = "name: x, hub: {url: 'http://h', api_key: '${UNSET_KEY}'}, executor: process"
    (node.context.config_file.parent / "b.yaml").write_text(f"prod: {{{good}}}\ndev: {{nmae: x}}\n")
    (node.context.config_file.parent / "c.yaml").write_text("name: [\n")
    rows = {(row["name"], row["environment"]): row["state"] for row in vnode(capsys, "list")}
    assert rows == {
        ("a", "plain"): "offline",
        ("b", "prod"): "offline",
        ("b", "dev"): "invalid",
        ("c", None): "invalid",
    }


def test_without_a_name_the_only_one_is_meant(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "files")["configuration"] == str(node.context.config_file)
    (node.context.config_file.parent / "b.yaml").write_text(node.context.config_file.read_text())
    assert "a, b" in vnode(capsys, "files", code=2)["error"]["message"]
    assert vnode(capsys, "files", "--config", str(node.context.config_file))["data"] == str(node.folder)


def test_without_any_node_the_way_to_one_is_shown(vestal_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "vnode new" in vnode(capsys, "stop", code=5)["error"]["hint"]


def test_stopping_what_does_not_run_says_so(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "stop", code=5)["error"]["code"] == "not_running"
    assert vnode(capsys, "attach", code=5)["error"]["code"] == "not_running"
    assert vnode(capsys, "stop", "--all") == {"stopped": []}


def test_runs_are_read_beside_the_daemon(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "runs") == []
    journal = Journal(node.journal_file)  # as a daemon holds it
    journal.accept("k1", assignment(1), "sandbox-1", "c0ffee", NOW, NOW + 9)
    journal.accept("k2", assignment(2), "sandbox-2", "c0ffee", NOW + 1, NOW + 9)
    journal.mark("k1", Phase.ENDED)
    (only,) = vnode(capsys, "runs")
    assert (only["run"], only["phase"], only["path"], only["key"]) == (2, "accepted", "part[0]", "k2")
    assert [run["run"] for run in vnode(capsys, "runs", "--all")] == [2, 1]
    assert "c0ffee" not in json.dumps(vnode(capsys, "runs", "--all"))  # a capability is a secret
    assert vnode(capsys, "list")[0]["runs"] == 1
    journal.close()


def test_reading_runs_writes_nothing(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    Journal(node.journal_file).close()
    node.journal_file.chmod(0o400)
    assert vnode(capsys, "runs", "--all") == []
    with sqlite3.connect(node.journal_file) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_images_of_processes_have_digests_and_the_policys_word(
    vestal_home: Path, capsys: pytest.CaptureFixture[str], api_key: Path, tmp_path: Path
) -> None:
    (tmp_path / "package" / "stats").mkdir(parents=True)
    images = [f"name={name},package=stats,path={tmp_path / 'package'}" for name in ("stats", "other")]
    options = [part for image in images for part in ("--process-image", image)]
    new(capsys, api_key, "--images", "st*", *options)
    rows = {row["name"]: (row["allowed"], row["config_digest"][:7]) for row in vnode(capsys, "image", "list")}
    assert rows == {"stats": (True, "sha256:"), "other": (False, "sha256:")}


def test_clean_finds_nothing_where_nothing_was(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "clean") == []


# --- keys ------------------------------------------------------------------------------------------------------------
def test_without_an_identity_there_is_nothing_to_show(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "keys", "show", code=5)["error"]["code"] == "no_identity"


def test_keys_new_makes_an_identity_and_show_its_words(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = vnode(capsys, "keys", "show")
    assert (shown["name"], shown["words"]) == ("Hospital A", spoken(shown["fingerprint"]))
    assert [(key["kind"], key["state"]) for key in shown["keys"]] == [("organization", "valid"), ("node", "valid")]
    assert shown["root"] == str(with_keys.places.root)


def request_file(folder: Path, subject: str = "Ada's laptop", kind: KeyKind = KeyKind.USER) -> tuple[Path, str]:
    request = KeyRequest.make(subject, PrivateKey.generate(kind))
    path = folder / f"{subject}.json"
    path.write_text(json.dumps(request.to_wire()))
    return path, request.key_id


def test_certify_takes_a_key_into_the_log(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, key_id = request_file(tmp_path)
    answer = vnode(capsys, "keys", "certify", str(path), "--offline", "--yes", "--days", "30", "--subject", "Ada")
    log = read_key_log(with_keys.places.key_log)
    found = log.certificates[key_id]
    assert (answer["key_id"], found.subject, log.number) == (key_id, "Ada", 3)
    now = int(SystemClock().now())
    assert 29 * 86_400 < found.not_after - now <= 30 * 86_400
    log.check_fresh(now)


def test_certify_asks_before_it_signs(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, _ = request_file(tmp_path)
    told = vnode(capsys, "keys", "certify", str(path), "--offline", code=2)["error"]
    assert (told["code"], "--yes" in told["hint"]) == ("no_terminal", True)
    assert read_key_log(with_keys.places.key_log).number == 2


def test_certify_refuses_a_key_twice(with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, _ = request_file(tmp_path)
    vnode(capsys, "keys", "certify", str(path), "--offline", "--yes")
    assert vnode(capsys, "keys", "certify", str(path), "--offline", "--yes", code=8)["error"]["code"] == "conflict"


@pytest.mark.parametrize("damage", ["subject", "text", "list"])
def test_certify_refuses_what_is_no_request(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str
) -> None:
    path, _ = request_file(tmp_path)
    document = json.loads(path.read_text())
    document["body"] = document["body"][:-8] + "AAAA" + document["body"][-4:]
    path.write_text({"subject": json.dumps(document), "text": "hello", "list": "[]"}[damage])
    vnode(capsys, "keys", "certify", str(path), "--offline", "--yes", code=20)
    assert read_key_log(with_keys.places.key_log).number == 2


def test_certify_needs_this_organizations_root(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, _ = request_file(tmp_path)
    away = tmp_path / "stick" / "root.key"
    away.parent.mkdir()
    with_keys.places.root.rename(away)
    assert (
        "cannot open" in vnode(capsys, "keys", "certify", str(path), "--offline", "--yes", code=20)["error"]["message"]
    )
    vnode(capsys, "keys", "certify", str(path), "--offline", "--yes", "--root", str(away))
    assert vnode(capsys, "keys", "show")["root"] is None


def test_revoked_keys_stay_revoked(with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, key_id = request_file(tmp_path)
    vnode(capsys, "keys", "certify", str(path), "--offline", "--yes")
    vnode(capsys, "keys", "revoke", key_id[:8], "--offline", "--yes", "--reason", "lost on the train")
    assert {key["id"]: key["state"] for key in vnode(capsys, "keys", "show")["keys"]}[key_id] == "revoked"
    vnode(capsys, "keys", "revoke", key_id, "--offline", "--yes", code=8)
    told = vnode(capsys, "keys", "certify", str(path), "--offline", "--yes", code=8)["error"]
    assert "was revoked" in told["message"]


def test_a_nodes_own_key_can_be_revoked_too(with_keys: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    node_key = next(key for key in vnode(capsys, "keys", "show")["keys"] if key["kind"] == "node")
    vnode(capsys, "keys", "revoke", node_key["id"], "--offline", "--yes")
    read_key_log(with_keys.places.key_log).check_fresh(int(SystemClock().now()))  # its head was signed by the root


@pytest.mark.parametrize("digits", ["", "0123456", "zz", "00000000000000000000000000000000"])
def test_revoke_wants_to_know_exactly_which(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], digits: str
) -> None:
    assert vnode(capsys, "keys", "revoke", digits, "--offline", "--yes", code=20)["error"]["code"] == "key_unknown"


def test_a_second_node_asks_for_its_certificate(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], api_key: Path
) -> None:
    new(capsys, api_key, "--private-key", str(with_keys.places.organization_key), name="second")
    second = load_node("second")
    assert vnode(capsys, "keys", "new", "second", code=5)["error"]["code"] == "no_identity"
    write_key_log(second.places.key_log, read_key_log(with_keys.places.key_log))
    made = vnode(capsys, "keys", "new", "second")
    vnode(capsys, "keys", "certify", made["request"], "--node", "a", "--offline", "--yes")
    found = read_key_log(with_keys.places.key_log).certificates[made["key_id"]]
    assert (found.key.kind, found.subject) == (KeyKind.NODE, "node second")
    assert vnode(capsys, "keys", "new", "second", code=8)["error"]["code"] == "already_exists"


# --- trust -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def store(node: Deployment) -> TrustStore:
    store = TrustStore(node.places.trust_store)
    store.accept(B.log, NOW, 2)
    return store


def test_trust_list_shows_words_and_level(store: TrustStore, capsys: pytest.CaptureFixture[str]) -> None:
    (only,) = vnode(capsys, "trust", "list")
    assert (only["name"], only["level"], only["words"]) == ("Hospital B", "first-contact", spoken(B.fingerprint))


def test_verify_with_the_words_that_were_read_out(store: TrustStore, capsys: pytest.CaptureFixture[str]) -> None:
    words = spoken(B.fingerprint)
    vnode(capsys, "trust", "verify", "hospital b", "--words", f"  {words.upper()} ")
    assert store.get(B.fingerprint).level is TrustLevel.VERIFIED


def test_verify_with_other_words_stops(store: TrustStore, capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(reversed(spoken(B.fingerprint).split()))
    vnode(capsys, "trust", "verify", "Hospital B", "--words", words, "--yes", code=20)
    assert store.get(B.fingerprint).level is TrustLevel.UNVERIFIED


def test_verify_asks_a_person(store: TrustStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert vnode(capsys, "trust", "verify", "Hospital B", code=2)["error"]["code"] == "no_terminal"
    assert store.get(B.fingerprint).level is TrustLevel.UNVERIFIED


@pytest.mark.parametrize("text", [B.fingerprint, B.fingerprint[:8], spoken(B.fingerprint), "HOSPITAL  B"])
def test_an_organization_has_several_names(store: TrustStore, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert vnode(capsys, "trust", "show", text)["fingerprint"] == B.fingerprint


@pytest.mark.parametrize("text", ["Hospital X", B.fingerprint[:7], ""])
def test_nobody_is_guessed(store: TrustStore, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert vnode(capsys, "trust", "show", text, code=20)["error"]["code"] == "organization_unknown"


def test_forget_makes_a_stranger(store: TrustStore, capsys: pytest.CaptureFixture[str]) -> None:
    vnode(capsys, "trust", "forget", "Hospital B", "--yes")
    assert store.find(B.fingerprint) is None


# --- plan ------------------------------------------------------------------------------------------------------------
def write_plan(folder: Path, own: str) -> Path:
    """The usual plan, with this node's organization in the place of B."""
    text = json.dumps(plan_document()).replace(B.fingerprint, own)
    path = folder / "plan.json"
    path.write_text(json.dumps(plan(json.loads(text)).signed.to_wire()))
    return path


def test_plan_says_what_policy_says_and_what_would_start(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = read_key_log(with_keys.places.key_log).fingerprint
    answer = vnode(capsys, "plan", str(write_plan(tmp_path, own)))
    assert answer["signature"].startswith("organization_unknown")  # nobody of this plan was ever met
    (run,) = answer["runs"]
    assert run["path"] == "part[0]"
    assert {objection["reason"] for objection in run["objections"]} == {"identity", "policy"}
    assert run["sandbox"]["limits"]["time_s"] == 3600
    assert run["sandbox"]["sources"][0]["label"] == "default"


def test_a_plan_for_others_starts_nothing_here(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan().signed.to_wire()))
    assert vnode(capsys, "plan", str(path))["runs"] == []


@pytest.mark.parametrize("content", ["", "{}", "hello", "[]"])
def test_what_is_no_plan_is_refused(
    with_keys: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    vnode(capsys, "plan", str(path), code=20)


# --- the rest --------------------------------------------------------------------------------------------------------
def test_doctor_stops_at_a_broken_configuration(node: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    node.context.config_file.write_text("name: a\n")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    (only,) = json.loads(capsys.readouterr().out)
    assert (ended.value.code, only["check"], only["state"]) == (1, "configuration", "failed")


def test_log_lines_are_readable_and_harmless() -> None:
    line = '{"time": "2026", "level": "info", "logger": "x", "message": "taken\\u001b[2J", "run": 7}'
    assert readable(line) == "2026 info     taken\N{REPLACEMENT CHARACTER}[2J run=7"
    assert readable("no JSON") == "no JSON"


@pytest.mark.parametrize("group", [[], ["keys"], ["trust"], ["image"]])
def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str], group: list[str]) -> None:
    with pytest.raises(SystemExit):
        main([*group, "--help"])
    overview = capsys.readouterr().out.split("Commands:")[1]
    for name in [line.split()[0] for line in overview.splitlines() if line.strip()]:
        with pytest.raises(SystemExit) as ended:
            main([*group, name, "--help"])
        assert ended.value.code == 0
        assert "Usage:" in capsys.readouterr().out
