"""A hub for each test, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_world import HubWorld


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HubWorld]:
    url = request.getfixturevalue("fresh_postgres_url") if request.param == "postgres" else None
    world = HubWorld(tmp_path, database_url=url)
    yield world
    world.close()
