"""Models and migrations say the same, on every database."""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from vserver import app, migrations
from vserver.db import Database
from vserver.migrations import DatabaseTooNew

assert app  # imports every model


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("fresh_postgres_url"))
    return f"sqlite:///{tmp_path / 'hub.sqlite'}"


def test_models_and_migrations_agree(url: str) -> None:
    database = Database(url)
    before, after = migrations.migrate(database)
    assert before is None
    assert migrations.differences(database) == []
    assert migrations.migrate(database) == (after, after)
    database.dispose()


def test_there_is_one_line_of_migrations() -> None:
    assert len(ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads()) == 1


def test_the_built_in_roles_are_there(url: str) -> None:
    database = Database(url)
    migrations.migrate(database)
    with database.engine.connect() as connection:
        names = set(connection.execute(text("SELECT name FROM role")).scalars())
    assert names == {"Administrator", "Organization admin", "Collaboration admin", "Researcher", "Viewer"}
    database.dispose()


def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    database = Database(url)
    migrations.migrate(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00d'"))
    with pytest.raises(DatabaseTooNew):
        migrations.migrate(database)
    database.dispose()
