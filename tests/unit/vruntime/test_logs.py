import base64
import io
import json
import logging
import stat

import pytest

from vruntime import logs

log = logging.getLogger("vestal.test")
SECRET = 'hunter2-"quoted"-é'


@pytest.fixture
def lines(monkeypatch):
    """Start JSON logging into memory; returns a function that gives what was logged."""
    monkeypatch.setattr(logs, "SECRETS", secrets := logs.Secrets())
    monkeypatch.setattr(logs.Redaction.__init__, "__defaults__", (secrets,))
    stream = io.StringIO()
    logs.start_logging(json_lines=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.start_logging(console=False)


def test_a_json_line_has_message_level_and_fields(lines):
    with logs.bound(run=17, request_id="r1"), logs.bound(run=18):
        log.info("run %s started", 18, extra={"image": "mean"})
    log.info("outside")
    first, second = lines()
    assert (first["message"], first["level"], first["logger"]) == ("run 18 started", "info", "vestal.test")
    assert (first["run"], first["request_id"], first["image"]) == (18, "r1", "mean")
    assert "run" not in second


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
        base64.b32encode(SECRET.encode()).decode(),
        "hunter2-%22quoted%22-%C3%A9",
    ],
)
def test_a_registered_secret_is_redacted_in_every_spelling(lines, spelling):
    logs.register_secret(SECRET)
    log.warning("password %s!", spelling)
    log.warning("x", extra={"body": {"deep": [spelling]}})
    try:
        raise ValueError(spelling)
    except ValueError:
        log.exception("failed")
    text = json.dumps(lines(), ensure_ascii=False)
    assert spelling not in text
    assert json.dumps(spelling)[1:-1] not in text
    assert text.count(logs.REDACTED) >= 3
    assert "ValueError" in text


def test_secret_bytes_are_redacted_too(lines):
    logs.register_secret(b"\xff\x00\xfe\x01")
    log.info("key %s", b"\xff\x00\xfe\x01".hex())
    assert lines()[0]["message"] == f"key {logs.REDACTED}"


def test_an_empty_secret_redacts_nothing(lines):
    logs.register_secret("")
    log.info("hello")
    assert lines()[0]["message"] == "hello"


def test_wrong_arguments_do_not_lose_the_line(lines):
    log.info("%s and %s", "one")
    assert "one" in lines()[0]["message"]


def test_a_human_line_is_one_line():
    record = logging.makeLogRecord({"name": "vnode", "levelname": "INFO", "msg": "a\nfake\x1b[2J"})
    logs.Redaction().filter(record)
    line = logs.HumanLines().format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert "a\\nfake\\x1b[2J" in line


def test_the_file_is_private_rotates_and_is_json(tmp_path):
    file = tmp_path / "log" / "node.log"
    logs.start_logging(file=file, console=False, max_file_bytes=2000, kept_files=2)
    try:
        for number in range(50):
            log.info("line %d", number)
    finally:
        logs.start_logging(console=False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["node.log", "node.log.1", "node.log.2"]
    assert json.loads(file.read_text().splitlines()[-1])["message"] == "line 49"


def test_starting_again_replaces_only_our_handlers():
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    try:
        before = len(logging.getLogger().handlers)
        logs.start_logging(stream=io.StringIO())
        logs.start_logging(stream=io.StringIO())
        assert len(logging.getLogger().handlers) == before + 1
        assert foreign in logging.getLogger().handlers
    finally:
        logging.getLogger().removeHandler(foreign)
        logs.start_logging(console=False)
