"""The commands over a node that is a real container: started, asked, given a new key, stopped, cleaned up."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from werkzeug.serving import make_server

from tests.hub_world import HubWorld
from vnode.cli import main
from vnode.executors.docker_convert import LABEL_KIND, LABEL_NODE
from vnode.executors.node_container import data_volume
from vprotocol.key_request import KeyRequest
from vprotocol.keys import KeyKind, PrivateKey
from vruntime.clock import SystemClock

pytestmark = [pytest.mark.docker, pytest.mark.slow]
NODE = f"commands{os.getpid()}"


@pytest.fixture
def world(tmp_path: Path) -> Any:
    (tmp_path / "hub").mkdir()
    world = HubWorld(tmp_path / "hub", clock=SystemClock())
    server = make_server("0.0.0.0", 0, world.app, threaded=True)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    world.port = server.server_port
    yield world
    server.shutdown()
    world.close()


def vnode(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    return json.loads((said.out if code == 0 else said.err).splitlines()[-1])


@pytest.fixture
def node(world: Any, images: dict[str, str], engine: Any, vestal_home: Path, tmp_path: Path, capsys: Any) -> Any:
    organization = world.organization("Hospital A")
    (tmp_path / "api_key").write_text(world.node(organization).pair["api_key"])
    (tmp_path / "patients.csv").write_text("age\n42\n")
    vnode(
        capsys, "new", NODE, "--hub", f"http://host.docker.internal:{world.port}",
        "--api-key-file", str(tmp_path / "api_key"), "--image", "vestal:latest", "--max-runs", "1",
        "--data-path", str(tmp_path / "patients.csv"),
    )  # fmt: skip
    yield organization
    try:
        main(["stop", "--json"])
    except SystemExit:
        pass
    main_code = pytest.raises(SystemExit, main, ["clean", "--all", "--yes", "--json"]).value.code
    for volume in engine.volumes.list(filters={"name": data_volume(NODE)}):
        volume.remove()
    assert main_code == 0


def test_a_node_lives_as_a_container(node: int, world: Any, engine: Any, tmp_path: Path, capsys: Any) -> None:
    started = vnode(capsys, "start")
    assert started["runs_as"] == "container"
    container = engine.containers.get(started["container"])
    assert container.attrs["Config"]["User"] not in ("", "0:0")
    assert "api_key" not in json.dumps(container.attrs["Config"]["Env"])
    (row,) = vnode(capsys, "list")
    assert (row["state"], row["runs_as"]) == ("online", "container")
    assert vnode(capsys, "start", code=8)["error"]["code"] == "already_running"
    assert vnode(capsys, "runs") == []  # answered from inside the container
    shown = vnode(capsys, "keys", "show")
    assert [known["fingerprint"] for known in vnode(capsys, "trust", "list")] == [shown["fingerprint"]]

    request = KeyRequest.make("Ada", PrivateKey.generate(KeyKind.USER))
    (tmp_path / "request.json").write_text(json.dumps(request.to_wire()))
    vnode(capsys, "keys", "certify", str(tmp_path / "request.json"), "--yes")
    admin = world.administrator()
    assert len(admin.get(f"/organization/{node}/public_key").get_json()["entries"]) == 4

    assert vnode(capsys, "clean", code=8)["error"]["code"] == "already_running"
    assert vnode(capsys, "stop") == {"stopped": [NODE]}
    assert vnode(capsys, "list")[0]["state"] == "offline"
    assert not list(tmp_path.rglob("container/config.yaml"))  # the resolved secrets are gone with the container


def test_a_node_that_cannot_start_says_why_and_leaves_no_container(
    node: int, engine: Any, vestal_home: Path, capsys: Any
) -> None:
    (file,) = vestal_home.rglob(f"{NODE}.yaml")
    file.write_text(file.read_text().replace("api_key: vestal-node-", "api_key: vestal-node-wrong-"))
    told = vnode(capsys, "start", code=6)["error"]
    assert told["message"]
    assert not engine.containers.list(all=True, filters={"name": f"vnode-{NODE}"})


def test_clean_removes_what_an_earlier_life_left(node: int, engine: Any, base_image: str, capsys: Any) -> None:
    labels = {LABEL_NODE: NODE}
    engine.containers.create(base_image, "true", name=f"vnode-{NODE}-seat-1", labels={**labels, LABEL_KIND: "seat"})
    engine.networks.create(f"vnode-{NODE}-net-1", internal=True, labels={**labels, LABEL_KIND: "network"})
    engine.volumes.create(f"vnode-{NODE}-run-1", labels={**labels, LABEL_KIND: "volume"})
    removed = vnode(capsys, "clean", "--all", "--yes")
    assert [(one["what"], one["name"]) for one in removed] == [
        ("container", f"vnode-{NODE}-seat-1"),
        ("network", f"vnode-{NODE}-net-1"),
        ("volume", f"vnode-{NODE}-run-1"),
    ]
    assert vnode(capsys, "clean") == []
