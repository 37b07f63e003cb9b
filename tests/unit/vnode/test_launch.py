"""From settings to surroundings: ports that are known before they are served, sockets that fit."""

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vnode.question import SOURCE, settings
from vnode import launch
from vnode.executors.errors import ImageMissing
from vnode.executors.process import ProcessExecutor
from vprotocol.errors import ConfigInvalid


def processes(tmp_path: Path, **changes: Any) -> Any:
    image = {"name": "stats", "package": "stats", "path": str(tmp_path / "stats")}
    (tmp_path / "stats" / "stats").mkdir(parents=True, exist_ok=True)
    open_ = {**SOURCE, "open": True}
    return settings(executor="process", data_sources=[open_], process_images=[image], **changes)


def test_a_process_is_told_the_port_that_listens(tmp_path: Path) -> None:
    around = launch.surroundings(processes(tmp_path), tmp_path / "data", inside_container=False)
    assert isinstance(around.executor, ProcessExecutor)
    assert around.proxy_listener is not None
    with around.proxy_listener as listener:
        port = listener.getsockname()[1]
        assert around.executor.layout("run").proxy_port == port
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_the_port_is_the_same_after_a_restart(tmp_path: Path) -> None:
    ports = []
    for _ in range(2):
        around = launch.surroundings(processes(tmp_path), tmp_path / "data", inside_container=False)
        assert around.proxy_listener is not None
        ports.append(around.proxy_listener.getsockname()[1])
        around.proxy_listener.close()
    assert ports[0] == ports[1]


@pytest.mark.parametrize("remembered", ["", "many", "99999999", "-1"])
def test_a_port_that_cannot_be_had_is_replaced(tmp_path: Path, remembered: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "proxy-port").write_text(remembered)
    around = launch.surroundings(processes(tmp_path), tmp_path / "data", inside_container=False)
    assert around.proxy_listener is not None
    around.proxy_listener.close()
    assert (tmp_path / "data" / "proxy-port").read_text().isdecimal()


def test_a_port_that_somebody_else_has_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        (tmp_path / "data" / "proxy-port").write_text(str(taken))
        around = launch.surroundings(processes(tmp_path), tmp_path / "data", inside_container=False)
        assert around.proxy_listener is not None
        with around.proxy_listener as listener:
            assert listener.getsockname()[1] != taken


def test_a_process_image_that_is_not_there_is_named(tmp_path: Path) -> None:
    image = {"name": "stats", "package": "stats", "path": str(tmp_path / "nowhere")}
    node = settings(executor="process", data_sources=[], process_images=[image])
    with pytest.raises(ImageMissing, match="nowhere"):
        launch.surroundings(node, tmp_path / "data", inside_container=False)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://hub.example.org", ("hub.example.org", 443)),
        ("http://hub.example.org/path", ("hub.example.org", 80)),
        ("https://hub.example.org:8443/", ("hub.example.org", 8443)),
        ("http://[::1]:7600", ("::1", 7600)),
    ],
)
def test_the_hub_is_what_no_sandbox_may_reach(url: str, address: tuple[str, int]) -> None:
    assert launch.hub_address(settings(hub={"url": url, "api_key": "0" * 16})) == address


def test_an_address_without_a_real_port_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="no valid port"):
        launch.hub_address(settings(hub={"url": "http://hub:99999999", "api_key": "0" * 16}))


def test_a_socket_with_a_long_path_moves_to_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.tempfile, "gettempdir", lambda: str(tmp_path))
    deep = tmp_path / ("d" * 100)
    place = launch._socket_place(deep)
    assert (place.parent.parent, place.parent.stat().st_mode & 0o077) == (tmp_path, 0)
    assert launch._socket_place(deep) == place  # a restart finds it again


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.tempfile, "gettempdir", lambda: str(tmp_path))
    launch._socket_place(tmp_path / ("d" * 100)).parent.chmod(0o755)
    with pytest.raises(ConfigInvalid, match="open to others"):
        launch._socket_place(tmp_path / ("d" * 100))


def test_a_short_path_stays_in_the_data_folder() -> None:
    assert launch._socket_place(Path("/var/lib/n")) == Path("/var/lib/n/proxy/proxy.sock")
