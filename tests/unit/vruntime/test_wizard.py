import io

import click
import pytest
from click.testing import CliRunner

from vruntime.cli import NoTerminal
from vruntime.logs import SECRETS
from vruntime.wizard import AnswerInvalid, Question, answerable, ask


def port(text):
    if not text.isdigit():
        raise ValueError("a port is a number")
    return int(text)


QUESTIONS = (
    Question("hub", "Address of the hub?"),
    Question("port", "Port?", default=443, check=port),
    Question("executor", "Executor?", choices=("docker", "process"), default="docker"),
    Question("api_key", "API key?", secret=True),
    Question("open", "Is the data public?", yes_no=True, default=False, only_if=lambda a: a["executor"] == "process"),
    Question("title", "Title?", default=lambda answers: f"node at {answers['hub']}"),
)


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text("top-secret-api-key\n")
    return str(path)


def test_without_a_terminal_options_and_defaults_answer(key_file):
    answers = ask(QUESTIONS, {"hub": "h", "api_key_file": key_file}, terminal=False)
    assert answers == {
        "hub": "h", "port": 443, "executor": "docker", "api_key": "top-secret-api-key", "title": "node at h",
    }  # fmt: skip


def test_a_secret_is_redacted_from_then_on(key_file):
    ask(QUESTIONS, {"hub": "h", "api_key_file": key_file}, terminal=False)
    assert SECRETS.redact("x top-secret-api-key x") == "x [redacted] x"


def test_without_a_terminal_every_missing_option_is_named():
    with pytest.raises(NoTerminal) as raised:
        ask(QUESTIONS, {}, terminal=False)
    assert raised.value.fields["options"] == ["--hub", "--api-key-file"]
    assert raised.value.hint == "Add --hub, --api-key-file."


def test_a_person_is_asked_only_what_was_not_given(key_file):
    asked = []

    def person(question, default):
        asked.append((question.name, default))
        return {"port": "8443", "executor": "process", "open": True, "title": default}[question.name]

    answers = ask(QUESTIONS, {"hub": "h", "api_key_file": key_file}, terminal=True, prompt=person)
    assert asked == [("port", 443), ("executor", "docker"), ("open", False), ("title", "node at h")]
    assert (answers["port"], answers["executor"], answers["open"]) == (8443, "process", True)


def test_a_person_is_asked_again_after_a_wrong_answer(capsys):
    answers = iter(["", "h"])
    assert ask(QUESTIONS[:1], {}, terminal=True, prompt=lambda *_: next(answers)) == {"hub": "h"}
    assert "an answer is needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": "x"}, "--port: a port is a number"),
        ({"executor": "slurm"}, "--executor: choose one of docker, process"),
        ({"api_key_file": "/no/such/file"}, "--api-key-file: /no/such/file cannot be read"),
        ({"hub": " "}, "--hub: an answer is needed"),
    ],
)
def test_a_wrong_option_is_named(given, said, key_file):
    with pytest.raises(AnswerInvalid, match=said):
        ask(QUESTIONS, {"hub": "h", "api_key_file": key_file, **given}, terminal=False)


def test_a_secret_can_come_from_standard_input(monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(b"from-a-pipe\n"))
    monkeypatch.setattr("sys.stdin", stdin)
    assert ask(QUESTIONS[3:4], {"api_key_file": "-"}, terminal=False) == {"api_key": "from-a-pipe"}


def test_every_question_is_an_option():
    seen = {}

    @click.command()
    @answerable(QUESTIONS)
    def new(**given):
        seen.update(given)

    done = CliRunner().invoke(new, ["--hub", "h", "--no-open", "--executor", "process"], catch_exceptions=False)
    assert done.exit_code == 0
    assert seen == {
        "hub": "h", "port": None, "executor": "process", "api_key_file": None, "open": False, "title": None,
    }  # fmt: skip
    options = {option for parameter in new.params for option in parameter.opts}
    assert options == {question.option for question in QUESTIONS}
