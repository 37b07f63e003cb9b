from pathlib import Path

import pytest

from tests.unit.vclient.federation import Federation
from vclient import Client
from vruntime.keyfiles import write_key


@pytest.fixture
def federation() -> Federation:
    return Federation()


@pytest.fixture
def connect(tmp_path: Path):
    """A client of a federation, logged in, that accepts members at first contact unless told otherwise."""

    def make(
        federation: Federation, *, name: str = "laptop", key: bool = True, login: bool = True, **options
    ) -> Client:
        folder = tmp_path / name
        if key and not (folder / "keys" / "user.key").exists():
            write_key(folder / "keys" / "user.key", federation.user, "ada")
        options = {"first_contact": True, **options}
        client = Client("http://hub", folder=folder, session=federation.session(), **options)
        if login:
            client.login("ada", "correct horse battery")
        return client

    return make


@pytest.fixture
def client(federation: Federation, connect) -> Client:
    return connect(federation)
