"""The shape of the database, and how an older one gets there. Runs at every start; nothing to do is the usual case."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from vprotocol.errors import ConfigInvalid
from vserver.db import Base, Database

_FOLDER = Path(__file__).parent
_PG_LOCK = 0x7665_7374  # any number that only we use: two hubs that start together migrate one after the other


class DatabaseTooNew(ConfigInvalid):
    """The database was made by a newer Vestal."""

    code = "database_too_new"
    hint = "Start the newer version, or restore a backup made before it ran."


def migrate(database: Database) -> tuple[str | None, str]:
    """Bring the database to this version's shape; answers the revisions before and after.

    :raises DatabaseTooNew: it has a revision that this version does not know.
    """
    scripts = ScriptDirectory(str(_FOLDER))
    head = scripts.get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations in this installation")
    with database.engine.connect() as connection:
        before = _revision(connection)
    if before == head:
        return before, head
    if before is not None and before not in {script.revision for script in scripts.walk_revisions()}:
        raise DatabaseTooNew()
    with database.writing_connection() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PG_LOCK})
        config = Config()
        config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return before, head


def differences(database: Database) -> list[Any]:
    """What the models say and the migrated database does not have, or the other way round. None is right."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
