"""A hub, or a whole federation, for each test; on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_world import HubWorld
from tests.integration.federation import Federation
from vruntime.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """Moves itself: whoever waits finds that the time has passed."""
    return ManualClock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """None: SQLite in the hub's own folder."""
    return None if request.param == "sqlite" else request.getfixturevalue("fresh_postgres_url")


@pytest.fixture
def federation(tmp_path: Path, clock: ManualClock, database_url: str | None) -> Iterator[Federation]:
    made = Federation(tmp_path, clock, database_url)
    yield made
    made.hub.database.dispose()


@pytest.fixture
def world(tmp_path: Path, database_url: str | None) -> Iterator[HubWorld]:
    made = HubWorld(tmp_path, database_url=database_url)
    yield made
    made.close()
