"""The command line over real HTTP. Each test reads as a session at a terminal."""

import json
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from tests.unit.vclient.federation import IMAGE, Fails, Federation
from vclient.cli import main
from vclient.cli.job.logs import stripped
from vprotocol.key_request import KeyRequest
from vprotocol.reasons import Reason
from vprotocol.signed import Signed
from vruntime.cli import run
from vruntime.keyfiles import write_key

PASSWORD = "correct horse battery"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(federation: Federation):
    server = make_server("127.0.0.1", 0, federation, server_class=_Server, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Terminal:
    """Runs commands as a person without a terminal would, such as a script."""

    def __init__(self, capfd) -> None:
        self._capfd = capfd

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self.json = "--json" in arguments
        self._capfd.readouterr()
        returned = run(main.group, arguments, "vclient")
        self.out, self.err = self._capfd.readouterr()
        assert returned == code, (returned, self.out, self.err)
        return self.out

    def value(self, *arguments: str):
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def vclient(capfd, vestal_home: Path) -> Terminal:
    return Terminal(capfd)


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return str(path)


@pytest.fixture
def ready(vclient: Terminal, federation: Federation, hub: str, password: str) -> Terminal:
    """Logged in, with a certified key, all members accepted."""
    vclient("login", "--hub", hub, "--username", "ada", "--password-file", password)
    write_key(Path(vclient.value("whoami")["folder"]) / "keys" / "user.key", federation.user, "ada")
    for name in federation.names:
        vclient("trust", "accept", name, "--yes")
    return vclient


# --- coming in -------------------------------------------------------------------------------------------------------
def test_log_in_once_and_stay(vclient, hub, password):
    assert vclient("login", "--hub", hub, "--username", "ada", "--password-file", password).startswith("Logged in")
    assert vclient.value("whoami")["name"] == "ada"  # needs no --hub any more
    assert vclient.value("whoami")["key"] is None
    assert PASSWORD not in vclient.out + vclient.err
    vclient("logout")
    vclient("whoami", code=6)
    assert vclient.err.splitlines() == ["error: Log in.", "hint: Log in again."]


def test_collaborations_and_organizations_are_listed(vclient, hub, password, federation):
    vclient("login", "--hub", hub, "--username", "ada", "--password-file", password)
    assert [row["title"] for row in vclient.value("collaborations")] == ["Stroke"]
    rows = vclient.value("organizations", "--collaboration", "Stroke")
    assert [(row["name"], row["trust"]) for row in rows] == [(name, "new") for name in federation.names]
    assert all(len(row["words"].split()) == 10 for row in rows)
    assert "Alpha" in vclient("organizations")


# --- keys ------------------------------------------------------------------------------------------------------------
def test_a_key_is_made_shown_and_requested(vclient, hub, password, tmp_path):
    vclient("login", "--hub", hub, "--username", "ada", "--password-file", password)
    made = vclient.value("keys", "new", "--about", "ada's laptop")
    assert Path(made["path"]).stat().st_mode & 0o777 == 0o600
    assert vclient("keys", "show").strip() == made["key"]
    path = tmp_path / "ada.request.json"
    vclient("keys", "request", str(path))
    assert "vnode keys certify" in vclient.err
    request = KeyRequest.read(Signed.from_wire(json.loads(path.read_text())))
    assert (request.subject, request.key_id) == ("ada", made["key"])
    vclient("keys", "new", code=20)
    assert "never overwritten" in vclient.err


# --- trust -----------------------------------------------------------------------------------------------------------
def test_trust_is_accepted_verified_and_forgotten(ready, federation):
    shown = ready.value("trust", "show", "Beta", "--collaboration", "Stroke")
    assert shown["trust"] == "unverified"
    ready("trust", "verify", "Beta", "--words", "these are not the words of beta at all sorry", code=20)
    assert "not the words of Beta" in ready.err
    ready("trust", "verify", "Beta", "--words", shown["words"].upper())
    assert {row["name"]: row["trust"] for row in ready.value("trust", "list")} == {
        "Alpha": "unverified",
        "Beta": "verified",
        "Gamma": "unverified",
    }
    ready("trust", "forget", "Beta", code=2)  # nobody can be asked
    ready("trust", "forget", "Beta", "--yes")
    assert len(ready.value("trust", "list")) == 2
    ready("run", IMAGE, "m", code=20)
    assert "Beta was not accepted here. Its words: " in ready.err
    assert not federation.jobs


# --- jobs ------------------------------------------------------------------------------------------------------------
def test_run_waits_and_shows_the_opened_answers(ready, federation):
    federation.do = lambda asked: asked.order.kwargs
    out = ready("run", IMAGE, "average", "--arg", "column=age", "--arg", "bins=10", "--on", "Beta")
    assert out.startswith("Beta: ")
    assert json.loads(out.removeprefix("Beta: ")) == {"column": "age", "bins": 10}
    value = ready.value("run", IMAGE, "average", "--args", '["age"]')
    assert set(value["results"]) == set(federation.names)


def test_a_detached_job_is_looked_at_later(ready, federation, tmp_path):
    job_id = ready("run", IMAGE, "m", "--on", "Beta", "--detach", "--name", "later", "--label", "source=1").strip()
    assert ready.value("job", "wait", job_id)["state"] == "completed"
    status = ready.value("job", "status", job_id)
    assert [(run["path"], run["organization"], run["state"]) for run in status["runs"]] == [
        ("main[0]", "Beta", "completed")
    ]
    assert status["labels"] == {"source": "1"}
    assert "main[0]" in ready("job", "status", job_id)
    assert ready.value("job", "results", job_id)["results"] == {"Beta": {"site": "Beta", "method": "m"}}
    saved = ready.value("job", "save", job_id, str(tmp_path / "out.json"))
    assert json.loads(Path(saved["path"]).read_text()) == {"site": "Beta", "method": "m"}
    assert [row["name"] for row in ready.value("jobs")] == ["later"]


def test_a_workflow_file_is_checked_explained_and_run(ready, federation, tmp_path):
    federation.do = lambda asked: sum(asked.inputs["total"]) if asked.inputs else 1
    flow, orders = tmp_path / "mean.yaml", tmp_path / "orders.json"
    flow.write_text(
        f"name: mean\nsteps:\n  part: {{image: '{IMAGE}', on: all, data: [default]}}\n"
        f"  finish: {{image: '{IMAGE}', on: initiator}}\n"
        "connections:\n  - {from: part, to: finish.total, pattern: gather}\n"
    )
    orders.write_text(json.dumps({"part": {"method": "partial"}, "finish": {"method": "combine", "args": [1]}}))
    assert ready("workflow", "check", str(flow)).strip() == "mean: part → finish"
    explained = ready("plan", "explain", "--workflow", str(flow))
    assert "step part: registry.example.org/stats" in explained
    assert "runs at Alpha, Beta, Gamma" in explained
    assert "its `output` can be read by you" in explained
    value = ready.value("run", "--workflow", str(flow), "--orders", f"@{orders}")
    assert value["results"] == {"Alpha": 3}


def test_a_failed_job_ends_with_its_own_exit_code_and_its_log_is_harmless(ready, federation):
    def fails(asked):
        raise Fails(Reason.EXIT_CODE)

    federation.do = fails
    ready("run", IMAGE, "m", "--on", "Gamma", code=30)
    assert "error: main[0] at Gamma failed: The algorithm ended with an error." in ready.err
    assert "hint: Its log is sealed for you: read it." in ready.err
    (job_id,) = federation.jobs
    logs = ready("job", "logs", job_id)
    assert "something went wrong" in logs
    assert "\x1b" not in logs
    assert ready.value("job", "logs", job_id)[0]["organization"] == "Gamma"


def test_a_job_is_cancelled(ready, federation):
    federation.never_ends = True
    job_id = ready("run", IMAGE, "m", "--detach").strip()
    assert ready("job", "cancel", job_id).strip() == "cancelled"
    ready("job", "results", job_id, code=31)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("\x1b[31mred\x1b[0m", "red"), ("\x1b]0;title\x07x", "x"), ("a\x1bcb", "a\x1bcb"), ("plain", "plain")],
)
def test_escapes_are_taken_out_whole(text, expected):
    assert stripped(text) == expected


# --- bad input -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run"], 2, "what is to run?"),
        (["run", IMAGE], 2, "which method"),
        (["run", "stats", "m"], 2, "without its digest"),
        (["run", IMAGE, "m", "--arg", "column"], 2, "NAME=VALUE"),
        (["run", IMAGE, "m", "--args", "age"], 2, "--args is not JSON"),
        (["run", IMAGE, "m", "--args", "{}"], 2, "--args is a JSON list"),
        (["run", IMAGE, "m", "--args", "@/nowhere/at/all"], 2, "cannot be read"),
        (["run", IMAGE, "m", "--on", "all", "--on", "Beta"], 2, "not both"),
        (["run", IMAGE, "m", "--on", "Delta"], 2, "not an accepted member"),
        (["run", IMAGE, "m", "--label", "x"], 2, "--label is written"),
        (["run", IMAGE, "m", "--orders", "{}"], 2, "--orders belongs to --workflow"),
        (["run", IMAGE, "m", "--workflow", "x.yaml"], 2, "a workflow says itself"),
        (["run", "--workflow", "/nowhere.yaml"], 3, "cannot be read"),
        (["run", IMAGE, "m", "--priority", "10"], 2, "priority"),
        (["run", IMAGE, "m", "--password", "x"], 2, "No such option"),
        (["login", "--username", "ada", "--password-file", "/nowhere"], 2, "cannot be read"),
        (["login", "--username", "ada"], 2, "nobody can be asked"),
        (["job", "status", "0" * 32], 5, "There is no job"),
        (["trust", "accept", "Beta"], 2, "needs a yes"),
        (["trust", "verify", "Delta", "--yes"], 5, "not exactly one accepted"),
        (["--context", "nothing", "whoami"], 2, "No such option"),
        (["whoami", "--context", "nothing"], 5, "no client configuration called nothing"),
        (["whoami", "--hub", "not-an-address"], 2, "is not a web address"),
    ],
)
def test_bad_input_is_one_line_with_its_own_exit_code(ready, arguments, code, says):
    ready(*arguments, code=code)
    assert says in next(line for line in ready.err.splitlines() if line.startswith("error: "))
    assert ready.out == ""
    assert "Traceback" not in ready.err


def test_errors_are_machine_readable_too(ready):
    ready("run", "stats", "m", "--json", code=2)
    assert json.loads(ready.err)["error"]["code"] == "digest_missing"


def test_without_any_hub_the_hint_says_what_to_do(vclient):
    vclient("whoami", code=2)
    assert "--hub ADDRESS" in vclient.err


def test_a_hub_that_is_away_is_named(vclient, password):
    vclient("login", "--hub", "http://127.0.0.1:1", "--username", "ada", "--password-file", password, code=9)
    assert "127.0.0.1" in vclient.err


def test_every_command_explains_itself(vclient):
    pending = [[]]
    while pending:
        path = pending.pop()
        out = vclient(*path, "--help")
        assert "Usage: vclient" in out
        group = main.group
        for name in path:
            group = group.get_command(None, name)
        if hasattr(group, "list_commands"):
            pending += [[*path, name] for name in group.list_commands(None)]
    assert vclient("version").strip()
