"""The database that other tests stand on."""

import pytest
import sqlalchemy

pytestmark = pytest.mark.postgres


def test_a_server_answers_and_databases_are_apart(postgres_url, fresh_postgres_url):
    assert postgres_url != fresh_postgres_url
    shared, fresh = (sqlalchemy.create_engine(url) for url in (postgres_url, fresh_postgres_url))
    with shared.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS here (id integer)"))
    assert "here" in sqlalchemy.inspect(shared).get_table_names()
    assert sqlalchemy.inspect(fresh).get_table_names() == []
    shared.dispose()
    fresh.dispose()
