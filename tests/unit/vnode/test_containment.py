"""What a node's container is given: everything it needs, no root key, nothing left to look up."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.vnode.question import SOURCE, settings
from vnode import containment
from vnode.config import HubSettings, NodeSettings
from vnode.containment import HubOutOfReach, hub_from_here, is_first_word, lines, resolved
from vnode.deployment import Deployment
from vprotocol.errors import ConfigInvalid
from vruntime.clock import ManualClock
from vruntime.config import loads
from vruntime.contexts import Context, Environment, Kind, Level


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    path.write_text("a\n1\n")
    return path


def node(tmp_path: Path, **changes: Any) -> Deployment:
    context = Context(
        Kind.NODE, Level.USER, "a", Environment.PLAIN, tmp_path / "a.yaml", tmp_path / "data", tmp_path / "log"
    )
    return Deployment(context, settings(**changes))


def test_what_was_resolved_means_the_same(data: Path) -> None:
    before = settings(
        data_sources=[{**SOURCE, "path": str(data), "parameters": {"query": "${NOT_A_VARIABLE}"}}],
        hub={"url": "https://hub", "api_key": "p$${x}${Y}" * 3, "ca_bundle": "/etc/ca.pem"},
        algorithm_env={"A": "$${B}"},
        policy={"trust": "first-contact", "max": {"time": "1h"}, "images": ["a*"]},
    )
    after = loads(resolved(before), NodeSettings, env={})
    source = after.data_sources[0]
    assert (source.path, source.seen_at) == (data, Path("/mnt/sources/default/patients.csv"))
    assert source.parameters == before.data_sources[0].parameters
    assert (after.hub.api_key, after.hub.ca_bundle) == (before.hub.api_key, Path("/run/vestal/keys/ca.pem"))
    assert (after.private_key, after.node_key) == (
        Path("/run/vestal/keys/organization.key"),
        Path("/run/vestal/keys/node.key"),
    )
    assert (after.policy, after.algorithm_env, after.max_runs) == (before.policy, before.algorithm_env, 4)


def test_a_link_is_followed_on_the_host(tmp_path: Path, data: Path) -> None:
    link = tmp_path / "latest.csv"
    link.symlink_to(data)
    after = loads(resolved(settings(data_sources=[{**SOURCE, "path": str(link)}])), NodeSettings)
    assert after.data_sources[0].path == data


@pytest.fixture
def engine_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "_engine_socket", lambda: tmp_path / "docker.sock")


@pytest.mark.usefixtures("engine_socket")
def test_the_container_gets_keys_but_never_the_root(tmp_path: Path, data: Path) -> None:
    deployment = node(tmp_path, data_sources=[{**SOURCE, "path": str(data)}])
    spec = containment.prepared(deployment, ManualClock(now=1_800_000_000))
    assert set(spec.keys) == {"organization.key", "node.key"}
    assert deployment.places.root.exists()
    mounted = [*spec.keys.values(), spec.config, spec.known, *spec.sources.values()]
    root = deployment.places.root.read_text()
    for path in mounted:
        assert path is not None
        files = list(path.iterdir()) if path.is_dir() else [path]
        assert all(root not in file.read_text() for file in files)
    assert spec.user[0] != 0
    assert spec.config.stat().st_mode & 0o077 == 0
    assert spec.environment == {}


@pytest.mark.usefixtures("engine_socket")
def test_no_secret_is_in_what_the_engine_shows(tmp_path: Path, data: Path) -> None:
    deployment = node(
        tmp_path, data_sources=[{**SOURCE, "path": str(data)}], hub={"url": "http://hub", "api_key": "sesame-" * 4}
    )
    spec = containment.prepared(deployment, ManualClock(now=1_800_000_000))
    assert "sesame" not in repr(spec)
    containment.remove_staged(deployment.folder)
    assert not spec.config.exists()


@pytest.mark.usefixtures("engine_socket")
def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    deployment = node(tmp_path, data_sources=[{**SOURCE, "path": str(tmp_path / "nowhere.csv")}])
    with pytest.raises(ConfigInvalid, match=r"default is not there: .*nowhere\.csv"):
        containment.prepared(deployment, ManualClock(now=1_800_000_000))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_hub_on_loopback_is_out_of_a_containers_reach(tmp_path: Path, host: str) -> None:
    deployment = node(tmp_path, hub={"url": f"http://{host}:7600", "api_key": "0" * 16})
    with pytest.raises(HubOutOfReach) as refused:
        containment.start(deployment, ManualClock())
    assert "http://host.docker.internal:7600" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (b'{"ready": true}', True),
        (b'{"error": {"code": "unreachable"}, "runs": true}', True),
        (b'{"time": "t", "level": "info", "message": "connected"}', False),
        (b'{"message": "m", "error": "of a run"}', False),
        (b"Traceback (most recent call last):", False),
        (b"[1]", False),
        (b"", False),
    ],
)
def test_the_first_word_is_told_from_the_log(line: bytes, first: bool) -> None:
    assert is_first_word(line) is first


def test_lines_are_put_together_from_pieces() -> None:
    assert list(lines(iter([b"a", b"b\nc", b"\n\nd\ne"]))) == [b"ab", b"c", b"", b"d", b"e"]


def test_a_process_on_this_machine_reaches_the_hub_that_containers_call_by_its_name() -> None:
    def seen(url: str) -> str:
        return hub_from_here(HubSettings(url=url, api_key="a" * 16)).url

    assert seen("http://host.docker.internal:7600") == "http://127.0.0.1:7600"
    assert seen("https://hub.example.org") == "https://hub.example.org"
