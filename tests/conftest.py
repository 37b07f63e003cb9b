"""What all tests share: an engine and a database when they are needed, and loud words when they are not there.

Tests marked `docker` or `postgres` are skipped where there is none and the closing lines say so; with
`--require-docker` or `--require-postgres` the session ends with an error before the first test instead.
"""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ENGINE_TIMEOUT_S = 10
POSTGRES_START_S = 60
_database_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("vestal")
    group.addoption("--require-docker", action="store_true", help="an error if no Docker engine answers")
    group.addoption("--require-postgres", action="store_true", help="an error if there is no PostgreSQL server")


_absent: dict[str, str] = {}  # marker → why what it needs is not there
_skipped: dict[str, int] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, find_absence in (("docker", _docker_absence), ("postgres", _postgres_absence)):
        required = config.getoption(f"--require-{marker}")
        marked = [item for item in items if item.get_closest_marker(marker)]
        if not (marked or required) or (reason := find_absence()) is None:
            continue
        if required:
            raise pytest.UsageError(f"--require-{marker}: {reason}")
        _absent[marker] = reason
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"{marker}: {reason}"))


def pytest_collection_finish(session: pytest.Session) -> None:
    for marker in _absent:
        _skipped[marker] = sum(1 for item in session.items if item.get_closest_marker(marker))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for marker, count in _skipped.items():
        if count:
            terminalreporter.section("NOT TESTED", sep="!", yellow=True, bold=True)
            terminalreporter.line(f"tests that need {marker}, skipped: {count}; {_absent[marker]}")


# --- Docker ----------------------------------------------------------------------------------------------------------
def _docker_absence() -> str | None:
    import docker
    from docker.errors import DockerException

    try:
        engine = docker.from_env(timeout=ENGINE_TIMEOUT_S)
        try:
            engine.ping()
        finally:
            engine.close()
    except (DockerException, OSError) as error:
        return f"no Docker engine answers ({type(error).__name__}); start one, or set DOCKER_HOST"
    return None


# --- PostgreSQL ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Postgres:
    """A server of our own: in a new folder, reached through a socket in it, gone after the session."""

    binaries: Path
    folder: Path
    user: str | None

    def run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self.binaries / program), *arguments],
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=POSTGRES_START_S + 30,
            check=False,
        )
        if done.returncode:
            log = self.folder / "log"
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{program} failed: {done.stdout.decode(errors='replace')[-2000:]}\n{tail}")

    def start(self) -> None:
        data = str(self.folder / "data")
        self.run("initdb", "-D", data, "-U", "vestal", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        # No network at all, and no fsync: the data live as long as the session.
        settings = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", data, "-l", log, "-o", settings, "-w", "-t", str(POSTGRES_START_S), "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://vestal@/{database}?host={self.folder}"


def _postgres_binaries() -> Path | None:
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _postgres_user() -> str | None:
    """As root the name of somebody else (the server refuses to run as root), otherwise None."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), "nobody")


def _postgres_absence() -> str | None:
    if _postgres_binaries() is None:
        return "no PostgreSQL server is installed; on Debian: apt-get install postgresql"
    return None


@pytest.fixture(scope="session")
def _postgres() -> Iterator[_Postgres]:
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip(f"postgres: {_postgres_absence()}")
    # The path of a Unix socket has room for about 100 characters: not below pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="vestal-pg-", dir="/tmp"))
    user = _postgres_user()
    if user:
        shutil.chown(folder, user)
    server = _Postgres(binaries, folder, user)
    try:
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(_postgres: _Postgres) -> str:
    """The SQLAlchemy URL of a database of this session; tests that share it see each other's rows."""
    return _new_database(_postgres, "shared")


@pytest.fixture
def fresh_postgres_url(_postgres: _Postgres) -> str:
    """The SQLAlchemy URL of an empty database for one test."""
    return _new_database(_postgres, f"fresh_{next(_database_numbers)}")


def _new_database(server: _Postgres, name: str) -> str:
    import psycopg

    with psycopg.connect(f"host={server.folder} user=vestal dbname=postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return server.url(name)


# --- a home of its own -----------------------------------------------------------------------------------------------
@pytest.fixture
def vestal_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`VESTAL_HOME` for this test: configurations, data and logs of both levels go below it."""
    home = tmp_path / "vestal-home"
    monkeypatch.setenv("VESTAL_HOME", str(home))
    return home
