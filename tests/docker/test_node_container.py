import io
import os
import socket

import pytest

from vnode.executors.attachment import ProxyAttachment
from vnode.executors.base import ImageRef, InputFile, SandboxLimits, SandboxSpec
from vnode.executors.docker import DockerExecutor
from vnode.executors.errors import AlreadyStarted, UnknownHandle
from vnode.executors.node_container import NodeContainers, NodeContainerSpec, data_volume

pytestmark = pytest.mark.docker
NODE = f"nodetest{os.getpid()}"
DEADLINE_S = 60.0
# Stands for a node: writes its data folder, then answers on the proxy's port.
DAEMON = """
import os, pathlib, socket
pathlib.Path("/var/lib/vestal/journal").write_text("x")
server = socket.create_server(("0.0.0.0", 7654))
print(os.getuid(), sorted(os.listdir("/mnt/sources/default")), pathlib.Path("/run/vestal/config.yaml").read_text(),
      os.access("/var/run/docker.sock", os.W_OK), flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(peer[0].encode())
    connection.close()
"""


@pytest.fixture
def containers(engine):
    containers = NodeContainers()
    yield containers
    containers.stop(NODE, timeout_s=0)
    for volume in engine.volumes.list(filters={"name": data_volume(NODE)}):
        volume.remove()
    containers.close()


@pytest.fixture
def spec(tmp_path, base_image):
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    (tmp_path / "config.yaml").write_text("name: a")
    (tmp_path / "patients.csv").write_text("age\n42\n")
    return NodeContainerSpec(
        node=NODE,
        command=("python3", "-u", "-c", DAEMON),
        config=tmp_path / "config.yaml",
        sources={"default": tmp_path / "patients.csv"},
        image=base_image,
    )


def first_line(containers):
    said = b""
    for piece in containers.logs(NODE, follow=True):
        said += piece
        if b"\n" in said:
            return said.decode()
    raise AssertionError(said)


def test_a_node_starts_is_seen_and_stops(containers, spec):
    started = containers.start(spec)
    assert started.running and started.exit_code is None
    assert first_line(containers) == "65532 ['patients.csv'] name: a True\n"
    assert [each.node for each in containers.list() if each.node == NODE] == [NODE]
    with pytest.raises(AlreadyStarted):
        containers.start(spec)
    assert containers.stop(NODE, timeout_s=0) is True
    assert containers.stop(NODE) is False
    with pytest.raises(UnknownHandle):
        next(containers.logs(NODE))


def test_its_data_outlives_it(containers, spec, engine):
    containers.start(spec)
    first_line(containers)
    containers.stop(NODE, timeout_s=0)
    containers.start(spec)
    assert first_line(containers)
    assert engine.volumes.get(data_volume(NODE))


def test_sandboxes_reach_it_as_proxyserver(containers, spec, base_image):
    started = containers.start(spec)
    first_line(containers)
    executor = DockerExecutor(
        NODE, slots=1, relay_image=base_image, proxy=ProxyAttachment(port=7654, self_container=started.id)
    )
    try:
        executor.prepare()
        layout = executor.layout("x")
        call = (
            "import socket; s = socket.create_connection(('proxyserver', 7654), 5); "
            f"open({layout.output_file!r}, 'wb').write(s.recv(100))"
        )
        handle = executor.start(
            SandboxSpec(
                name=f"{NODE}-call",
                image=executor.resolve_image(ImageRef(base_image)).id,
                command=("python3", "-c", call),
                environment={},
                files=(InputFile(layout.input_file, b""),),
                sources=(),
                limits=SandboxLimits(128 << 20, 1.0, 32, 60.0, 1 << 20, 1 << 20),
            )
        )
        ended = executor.wait(handle, DEADLINE_S)
        assert ended is not None and ended.code == 0, executor.logs(handle, 1000)
        sink = io.BytesIO()
        executor.fetch(handle, layout.output_file, sink, 100)
        assert sink.getvalue().decode() == handle.address
        assert socket.inet_aton(handle.address or "")
        executor.remove(handle)
    finally:
        executor.close()
