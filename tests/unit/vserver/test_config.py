"""A hub's configuration file: everything has a default, every mistake its line."""

from pathlib import Path

import pytest

from vprotocol.errors import ConfigInvalid
from vruntime import config
from vserver.config import Settings


def test_an_empty_file_is_a_working_hub(tmp_path: Path) -> None:
    settings = config.loads("", Settings).model_copy(update={"data_folder": tmp_path})
    assert settings.database_url == f"sqlite:///{tmp_path}/hub.sqlite"
    assert settings.payload_folder == tmp_path / "payloads"


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("prot: 1", "prot", "no such key"),
        ("port: many", "port", "whole number"),
        ("port: 70000", "port", "65535"),
        ("public_url: hub.example.org", "public_url", "https://"),
        ("lease_s: 0", "lease_s", "greater than 0"),
        ("log_level: loud", "log_level", "must be"),
        ("limits: {login_burst: 0}", "limits.login_burst", "greater than or equal to 1"),
        ("password: {memory_kib: 1}", "password.memory_kib", "64"),
        ("database: ${NO_SUCH_VARIABLE}", "database", "not set"),
        ("lease_s: 30", "", "third of lease_s"),
    ],
)
def test_a_mistake_is_named(text: str, key: str, reason: str) -> None:
    with pytest.raises(ConfigInvalid) as error:
        config.loads(text, Settings, source="hub.yaml", env={})
    problem = error.value.fields["problems"][0]
    assert problem["key"] == key
    assert reason in problem["reason"]
