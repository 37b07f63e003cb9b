"""Logs: readable lines on a terminal, JSON lines for machines, and never a secret in either.

Modules write with `logging.getLogger(__name__)` as everybody does; fields go into `extra`. A program calls
`start_logging` once. `bound(run=17)` adds fields to everything logged inside the block, threads started with
`contextvars.copy_context()` included.
"""

import base64
import json
import logging
import logging.handlers
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

REDACTED = "[redacted]"
MAX_FILE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5

_fields: ContextVar[Mapping[str, Any] | None] = ContextVar("vestal_log_fields", default=None)
_BUILT_IN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields"}
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Add `fields` (such as `run=17`, `request_id="..."`) to every record logged inside the block."""
    token = _fields.set({**current_fields(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def current_fields() -> Mapping[str, Any]:
    """The fields that `bound` has set here."""
    return _fields.get() or {}


class Secrets:
    """Texts that must not appear in a log, in any of the spellings they usually take."""

    def __init__(self) -> None:
        self._spellings: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def register(self, secret: str | bytes) -> None:
        """Redact `secret` from now on: as text, hex, base64, percent-encoded and as inside JSON."""
        raw = secret.encode() if isinstance(secret, str) else bytes(secret)
        if not raw:
            return
        with self._lock:
            self._spellings |= _spellings(raw)

    def redact(self, text: str) -> str:
        # The longest first: a short spelling may be part of a longer one.
        for spelling in sorted(self._spellings, key=len, reverse=True):
            if spelling in text:
                text = text.replace(spelling, REDACTED)
        return text


def _spellings(raw: bytes) -> frozenset[str]:
    found = {raw.hex(), raw.hex().upper()}
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b32encode(raw)):
        found |= {encoded.decode(), encoded.decode().rstrip("=")}
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return frozenset(found)
    return frozenset(found | {text, quote(text, safe=""), json.dumps(text)[1:-1], repr(text)[1:-1]})


SECRETS = Secrets()


def register_secret(secret: str | bytes) -> None:
    """Keep `secret` out of every log of this process from now on."""
    SECRETS.register(secret)


class Redaction(logging.Filter):
    """Takes registered secrets out of a record: message, fields and traceback."""

    def __init__(self, secrets: Secrets = SECRETS) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a wrong number of arguments must not cost the line
            message = f"{record.msg} {record.args}"
        record.msg, record.args = self._secrets.redact(message), None
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.exc_text:
            record.exc_text = self._secrets.redact(record.exc_text)
        if record.stack_info:
            record.stack_info = self._secrets.redact(record.stack_info)
        record.fields = {key: self._clean(value) for key, value in _fields_of(record).items()}
        return True

    def _clean(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self._secrets.redact(str(key)): self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        return self._secrets.redact(str(value))


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    already = getattr(record, "fields", None)
    if isinstance(already, dict):  # a second handler sees what the first one has cleaned
        return already
    extra = {key: value for key, value in vars(record).items() if key not in _BUILT_IN and not key.startswith("_")}
    return {**current_fields(), **extra}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in _fields_of(record).items() if key not in line})
        if record.exc_text or record.exc_info:
            line["traceback"] = record.exc_text or self.formatException(record.exc_info)  # type: ignore[arg-type]
        return json.dumps(line, ensure_ascii=False, default=str)


class HumanLines(logging.Formatter):
    """One line a record, for eyes: time, level, message, fields, where from."""

    def __init__(self, *, colour: bool = False, date: bool = True) -> None:
        super().__init__()
        self._colour = colour
        self._date = date

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S" if self._date else "%H:%M:%S")
        level = f"{record.levelname.lower():<8}"
        fields = "".join(f" {key}={value}" for key, value in _fields_of(record).items())
        tail = f"{fields} ({record.name})"
        if self._colour:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
            tail = f"\x1b[2m{tail}\x1b[0m"
        # A message of several lines, or with control characters from outside, must not look like several records.
        line = f"{when} {level} {_one_line(record.getMessage())}{tail}"
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        return f"{line}\n{record.exc_text}" if record.exc_text else line


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class _PrivateRotatingFile(logging.handlers.RotatingFileHandler):
    """A rotating file that nobody but its owner can read."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=_private_opener)


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def start_logging(
    *,
    level: int | str = logging.INFO,
    json_lines: bool = False,
    file: Path | None = None,
    stream: TextIO | None = None,
    console: bool = True,
    max_file_bytes: int = MAX_FILE_BYTES,
    kept_files: int = KEPT_FILES,
) -> None:
    """Send this process's logs to standard error and, if given, to a rotating file that is always JSON lines.

    Calling it again replaces what the last call set up.
    """
    handlers: list[logging.Handler] = []
    if console:
        handlers.append(_console(stream or sys.stderr, json_lines))
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        rotating = _PrivateRotatingFile(file, maxBytes=max_file_bytes, backupCount=kept_files, encoding="utf-8")
        rotating.setFormatter(JsonLines())
        handlers.append(rotating)
    for handler in handlers:
        handler.addFilter(Redaction())
    _replace_root_handlers(handlers, level)


def _console(stream: TextIO, json_lines: bool) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    terminal = stream.isatty()
    handler.setFormatter(JsonLines() if json_lines else HumanLines(colour=terminal, date=not terminal))
    return handler


def _replace_root_handlers(handlers: list[logging.Handler], level: int | str) -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if getattr(handler, "_vestal", False)]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler._vestal = True  # type: ignore[attr-defined]  # so that only our own are replaced
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    # They tell each connection and each request; that is noise at INFO and a leak of addresses at DEBUG.
    for noisy in ("urllib3", "docker", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
