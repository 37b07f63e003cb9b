"""The database: the only truth of the hub.

Reads and writes are different things here. Any number of reads run side by side. On SQLite, writes take turns: a
lock inside the process and `BEGIN IMMEDIATE` in front of it, so that nobody ever meets "database is locked". Nothing
inside a write may yield to another greenlet: read the request's body, check passwords and write files before or after.
Wake-up calls and whatever else must only happen once the change is really there go through `after_commit`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from vprotocol.errors import ConfigInvalid, Unavailable
from vruntime.logs import register_secret

_WRITES = "vestal_writes"
_AFTER_COMMIT = "after_commit"


class Base(DeclarativeBase):
    """Every table of the hub. Constraint names are fixed, so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database:
    """The engine, and the only two ways to use it: `read()` and `write()`."""

    def __init__(self, url: str, *, busy_timeout_s: float = 30.0, pool_size: int = 10, durable: bool = True) -> None:
        self.url = _url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.url.password:
            register_secret(self.url.password)
        self._busy_timeout_s = busy_timeout_s
        self.engine = _engine(self.url, busy_timeout_s, pool_size, durable)
        self._readers = sessionmaker(self.engine, autoflush=False, expire_on_commit=False, info={"writes": False})
        writing = self.engine.execution_options(**{_WRITES: True})
        self._writers = sessionmaker(writing, expire_on_commit=False, info={"writes": True})
        self._turn = threading.Lock()
        self._holder: int | None = None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view for reading; flushing a change in it is a programming error."""
        with self._readers() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, or not at all if the block raises.

        :raises Unavailable: other writes did not end in time.
        """
        with self._my_turn(), self._writers.begin() as session:
            yield session
        for callback in session.info.pop(_AFTER_COMMIT, ()):
            callback()

    @contextmanager
    def writing_connection(self) -> Iterator[Connection]:
        """One transaction below the ORM, for migrations."""
        with self._my_turn(), self.engine.execution_options(**{_WRITES: True}).begin() as connection:
            yield connection

    def ping(self) -> None:
        """Ask the database for a sign of life."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def dispose(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        me = threading.get_ident()
        if self._holder == me:
            raise RuntimeError("a write inside a write of the same thread would wait for itself")
        if not self._turn.acquire(timeout=self._busy_timeout_s):
            raise Unavailable("The database is busy with other changes.")
        self._holder = me
        try:
            yield
        finally:
            self._holder = None
            self._turn.release()


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Call `callback` once the session's changes are there for everybody to see; never if they are rolled back."""
    session.info.setdefault(_AFTER_COMMIT, []).append(callback)


def flush_removal(session: Session, in_use: Exception) -> None:
    """Carry out a removal; raises `in_use` if something that is kept still refers to what was removed."""
    try:
        session.flush()
    except IntegrityError:
        raise in_use from None


def _url(text_url: str) -> URL:
    try:
        url = make_url(text_url)
    except Exception as error:  # SQLAlchemy's error would repeat the URL, and with it a password
        raise ConfigInvalid("`database` is not a database URL, such as sqlite:///hub.sqlite") from error
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    return url


def _engine(url: URL, busy_timeout_s: float, pool_size: int, durable: bool) -> Engine:
    try:
        return _made_engine(url, busy_timeout_s, pool_size, durable)
    except (ArgumentError, ImportError) as error:  # an unknown database, or one whose driver is not installed
        raise ConfigInvalid(
            f"`database`: this installation cannot speak to {url.drivername!r}.",
            hint="sqlite:///FILE and postgresql://... work always; others need their driver installed.",
        ) from error


def _made_engine(url: URL, busy_timeout_s: float, pool_size: int, durable: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise ConfigInvalid("the hub needs a database file: several connections share it")
        engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            hide_parameters=True,
            connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        )
        _prepare_sqlite(engine, durable)
        return engine
    return create_engine(
        url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, pool_timeout=30, hide_parameters=True
    )


def _prepare_sqlite(engine: Engine, durable: bool) -> None:
    synchronous = "FULL" if durable else "OFF"

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@event.listens_for(Session, "before_flush")
def _readers_do_not_write(session: Session, _context: Any, _instances: Any) -> None:
    if session.info.get("writes") is False:
        raise RuntimeError("a change was made in a session that was opened for reading")
